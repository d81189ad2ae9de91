import { parseArgs } from 'node:util';
import { EXIT_FAILED, LabError, messageOf, say, usage } from './errors.ts';
import { hostNamed, parseBackend, parseHostName, parseLabName } from './model.ts';
import { cut, heal } from './network/cut.ts';
import { requireLab } from './state.ts';
import { down } from './verbs/down.ts';
import { exec } from './verbs/exec.ts';
import { kill } from './verbs/kill.ts';
import { describe, renderPlain } from './verbs/ls.ts';
import { refresh } from './verbs/refresh.ts';
import { up } from './verbs/up.ts';

const USAGE = `\
lab up NAME... [--backend netns|vm]     make the hosts, or start those that lost power
lab exec NAME [-i] -- CMD...            run in a host, as root
lab cut A B | heal A B                  cut and restore the network between two hosts
lab kill NAME                           the power fails
lab ls [--json]                         what there is
lab refresh                             put this checkout's migrate into the hosts anew
lab down [NAME...]                      leave nothing behind
LAB=<name> in the environment picks the lab, \`default\` if unset.`;

/** One verb, its arguments, and the lab they mean. */
async function main(words: readonly string[]): Promise<number> {
  const [verb, ...rest] = words;
  const lab = parseLabName(process.env.LAB || 'default');
  const command = verb === undefined ? undefined : VERBS[verb];
  if (verb === 'help' || verb === '--help') {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  if (command === undefined) throw usage(`${verb ?? 'no verb'}: not a verb\n${USAGE}`);
  return (await command(lab, rest)) ?? 0;
}

type Verb = (lab: string, words: string[]) => Promise<number | undefined>;

const VERBS: Readonly<Record<string, Verb>> = {
  up: async (lab, words) => {
    const { values, positionals } = parse(words, { backend: { type: 'string' } });
    if (positionals.length === 0) throw usage('up NAME... [--backend netns|vm]');
    const backend = values.backend;
    const options = typeof backend === 'string' ? { backend: parseBackend(backend) } : {};
    await up(lab, positionals.map(parseHostName), options);
    return 0;
  },
  exec: async (lab, words) => {
    const split = words.indexOf('--');
    const own = split < 0 ? words : words.slice(0, split);
    const { values, positionals } = parse(own, { interactive: { type: 'boolean', short: 'i' } });
    const [host, ...more] = positionals;
    if (host === undefined || split < 0 || more.length > 0) throw usage('exec NAME [-i] -- CMD...');
    return exec(lab, {
      host,
      command: words.slice(split + 1),
      interactive: values.interactive === true,
    });
  },
  cut: (lab, words) => onPair(lab, words, cut),
  heal: (lab, words) => onPair(lab, words, heal),
  kill: async (lab, words) => {
    await kill(lab, exactly(words, 1, 'kill NAME')[0] ?? '');
    return 0;
  },
  ls: async (lab, words) => {
    const { values } = parse(words, { json: { type: 'boolean' } });
    const found = await describe(lab);
    process.stdout.write(`${values.json === true ? JSON.stringify(found) : renderPlain(found)}\n`);
    return 0;
  },
  refresh: async (lab, words) => {
    exactly(words, 0, 'refresh');
    await refresh(lab);
    return 0;
  },
  down: async (lab, words) => {
    await down(lab, parse(words, {}).positionals);
    return 0;
  },
};

async function onPair(lab: string, words: string[], act: typeof cut): Promise<number> {
  const [a = '', b = ''] = exactly(words, 2, 'cut A B | heal A B');
  const found = await requireLab(lab);
  if (a === b) throw usage('a host has no network between it and itself');
  await act(found, hostNamed(found, a), hostNamed(found, b));
  return 0;
}

function exactly(words: string[], count: number, form: string): string[] {
  const { positionals } = parse(words, {});
  if (positionals.length !== count) throw usage(form);
  return positionals;
}

type OptionForms = Record<string, { type: 'string' | 'boolean'; short?: string }>;

function parse(words: string[], options: OptionForms) {
  try {
    return parseArgs({ args: words, options, allowPositionals: true });
  } catch (error) {
    throw usage(messageOf(error));
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const known = error instanceof LabError;
  say(known ? error.message : error instanceof Error ? (error.stack ?? error.message) : `${error}`);
  process.exitCode = known ? error.exit : EXIT_FAILED;
}
