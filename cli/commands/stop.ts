import type { Command } from 'commander';
import { type Context, writeJson } from '../context.ts';
import { given, parseSeconds } from '../usage.ts';

/** `stop` ends the processes of a job, `rm` forgets what is left of it. */
export function registerStop(program: Command, context: Context): void {
  program
    .command('stop')
    .description('end a job: SIGTERM, then SIGKILL')
    .argument('<NAME>', 'the name of the job')
    .option('--timeout <seconds>', 'how long it may take to end by itself', parseSeconds)
    .option('--json', 'one JSON line on standard output')
    .action(async (name: string, flags: { timeout?: number; json?: true }) => {
      context.signals.watch();
      await (await context.api()).stopJob(name, given({ timeoutMs: flags.timeout }));
      if (flags.json) await writeJson(context, { type: 'stopped', name });
    });
  program
    .command('rm')
    .description('forget a job that has ended: its record, log and addresses')
    .argument('<NAME>', 'the name of the job')
    .option('--json', 'one JSON line on standard output')
    .action(async (name: string, flags: { json?: true }) => {
      context.signals.watch();
      await (await context.api()).removeJob(name);
      if (flags.json) await writeJson(context, { type: 'removed', name });
    });
}
