import { basename, join } from 'node:path';
import type { Command } from 'commander';
import type { Api } from '../api.ts';
import { type Context, writeJson, writeLine } from '../context.ts';
import { outline } from '../report/table.ts';
import { usageError } from '../usage.ts';
import { bytesInWords, oneLine } from '../words.ts';

export function registerBundle(program: Command, context: Context): void {
  const bundle = program
    .command('bundle')
    .description('look into bundles')
    .usage('show|verify|extract FILE...')
    .helpCommand(false)
    .argument('[verb...]')
    .action((words: string[]) => {
      const unknown = words[0] === undefined ? '' : `bundle has no '${words[0]}', `;
      throw usageError(`${unknown}give one of show, verify, extract`);
    });
  addVerb(bundle, 'show', 'say what is in a bundle', context, show);
  addVerb(bundle, 'verify', 'read a bundle to its end and check every digest', context, verify);
  addVerb(bundle, 'extract', 'unpack FILE into the directory FILE.d', context, extract).option(
    '-C, --directory <dir>',
    'make the directory in this one',
  );
}

interface BundleFlags {
  readonly json?: true;
  readonly directory?: string;
}

type Verb = (api: Api, file: string, flags: BundleFlags, context: Context) => Promise<void>;

function addVerb(bundle: Command, name: string, about: string, context: Context, verb: Verb) {
  return bundle
    .command(name)
    .description(about)
    .argument('<FILE...>', 'bundles')
    .option('--json', 'a JSON line for each bundle on standard output')
    .action(async (files: string[], flags: BundleFlags) => {
      const api = await context.api();
      for (const file of files) await verb(api, file, flags, context);
    });
}

const show: Verb = async (api, file, flags, context) => {
  const content = await api.showBundle(file);
  if (flags.json) await writeJson(context, { type: 'bundle', file, ...content });
  else await context.out.write(outline({ file, ...content }));
};

const verify: Verb = async (api, file, flags, context) => {
  const { bytes, sha256 } = await api.verifyBundle(file);
  if (flags.json) await writeJson(context, { type: 'verified', file, bytes, sha256 });
  else {
    const text = `${oneLine(file)}: whole, ${bytesInWords(bytes)}, sha256 ${sha256}`;
    await writeLine(context.out, text);
  }
};

const extract: Verb = async (api, file, flags, context) => {
  const dir = join(flags.directory ?? '.', `${basename(file)}.d`);
  await api.extractBundle(file, dir);
  if (flags.json) await writeJson(context, { type: 'extracted', file, directory: dir });
  else await writeLine(context.out, `${oneLine(file)}: in ${oneLine(dir)}`);
};
