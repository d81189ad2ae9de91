import type { Command } from 'commander';
import { MigrateError } from '../../src/base/errors.ts';
import type { JobRecord, JobSpec } from '../../src/index.ts';
import { type Context, writeJson, writeLine } from '../context.ts';
import { readJobFile } from '../job-file.ts';
import { refuseCommandName } from '../job-names.ts';
import { collect, given, usageError } from '../usage.ts';

export function registerRun(program: Command, context: Context): void {
  program
    .command('run')
    .description('start a job, or every job of a file')
    .usage('NAME --l3|--l2 --ip ADDR/LEN [options] [--] CMD...')
    .argument('[NAME]', 'the name of the job')
    .argument('[CMD...]', 'the program and its arguments')
    .option('--l3', "share the host's network stack, own some of its addresses")
    .option('--l2', 'have a network namespace on a bridge of the host')
    .option('--ip <addr/len>', 'an address of the job; may stand several times', collect)
    .option('--dev <dev>', 'l3: the device that carries the addresses')
    .option('--bridge <bridge>', 'l2: the bridge of the host to hang on')
    .option('--gateway <addr>', 'l2: the default route')
    .option('--rootfs <dir>', 'l2: the root directory of the job')
    .option('--user <user>', 'the user that the program runs as')
    .option('--allow <what>', 'l3: raw, sockets that see and send whole packets', collect)
    .option(
      '-f, --file <jobs.jsonl>',
      'a job a line: name, kind, ip, command and so on; - is stdin',
    )
    .option('--json', 'JSON lines on standard output')
    .action((name: string | undefined, words: string[], flags: RunFlags, command: Command) =>
      run(specsOf(name, words, flags, context), flags, command, context),
    );
}

interface RunFlags {
  readonly l3?: true;
  readonly l2?: true;
  readonly ip?: string[];
  readonly dev?: string;
  readonly bridge?: string;
  readonly gateway?: string;
  readonly rootfs?: string;
  readonly user?: string;
  readonly allow?: string[];
  readonly file?: string;
  readonly json?: true;
}

/** One after the other: the first that fails ends the batch, and those before it go on running. */
async function run(
  specs: Promise<JobSpec[]>,
  flags: RunFlags,
  command: Command,
  context: Context,
): Promise<void> {
  const jobs = await specs;
  for (const { name } of jobs) refuseCommandName(name, command);
  const interrupted = context.signals.watch();
  const api = await context.api();
  for (const spec of jobs) {
    if (interrupted.aborted) {
      throw new MigrateError('INTERRUPTED', `stopped before ${spec.name} was started`);
    }
    await report(await api.runJob(spec), flags, context);
  }
}

async function report(job: JobRecord, flags: RunFlags, context: Context): Promise<void> {
  if (flags.json) await writeJson(context, { type: 'job', ...job });
  else await writeLine(context.out, `${job.name}: ${job.state}, pid ${job.initPid}`);
}

async function specsOf(
  name: string | undefined,
  words: string[],
  flags: RunFlags,
  context: Context,
): Promise<JobSpec[]> {
  const { l3, l2, file, json: _json, ...network } = flags;
  if (file !== undefined) {
    const others = l3 ?? l2 ?? name ?? Object.keys(network)[0];
    if (others !== undefined) throw usageError('-f takes everything from the file, give it alone');
    return readJobFile(file, context);
  }
  if (name === undefined) throw usageError('NAME is missing');
  if (l3 === l2) throw usageError('give one of --l3 and --l2');
  if (flags.ip === undefined) throw usageError('--ip is missing: a job moves with its address');
  if (words.length === 0) throw usageError('CMD is missing: the program that the job runs');
  refuseForeignFlags(l3 ? 'l3' : 'l2', flags);
  const kind = l3 ? 'l3' : 'l2';
  const allow = allowed(flags.allow);
  return [{ name, kind, ...given({ ...network, allow }), ip: flags.ip, command: words }];
}

function refuseForeignFlags(kind: 'l3' | 'l2', flags: RunFlags): void {
  const foreign =
    kind === 'l3' ? (['bridge', 'gateway', 'rootfs'] as const) : (['dev', 'allow'] as const);
  const found = foreign.find((flag) => flags[flag] !== undefined);
  if (found !== undefined) throw usageError(`--${found} means nothing to an ${kind} job`);
  if (kind === 'l2' && flags.bridge === undefined) {
    throw usageError('--bridge is missing: an l2 job hangs on a bridge of the host');
  }
}

function allowed(words: readonly string[] | undefined): JobSpec['allow'] {
  const unknown = words?.find((word) => word !== 'raw');
  if (unknown !== undefined) throw usageError(`--allow knows raw, not '${unknown}'`);
  return words === undefined ? undefined : ['raw'];
}
