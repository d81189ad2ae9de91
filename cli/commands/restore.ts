import type { Command } from 'commander';
import { type Context, writeJson, writeLine } from '../context.ts';
import { refuseCommandName } from '../job-names.ts';
import { writeWarnings } from '../report/warnings.ts';
import { given } from '../usage.ts';

export function registerRestore(program: Command, context: Context): void {
  program
    .command('restore')
    .description('start a job from a file')
    .argument('<FILE>', 'a bundle')
    .option('--name <name>', 'give the job another name')
    .option('--json', 'one JSON line on standard output')
    .action(async (file: string, flags: RestoreFlags, command: Command) => {
      if (flags.name !== undefined) refuseCommandName(flags.name, command);
      context.signals.watch();
      const api = await context.api();
      const job = await api.restoreJob(file, given({ name: flags.name }));
      if (job.warnings.length > 0) context.exitCode = 3;
      if (flags.json) await writeJson(context, { type: 'job', ...job });
      else {
        await writeWarnings(context, job.warnings);
        await writeLine(context.out, `${job.name}: ${job.state}, pid ${job.initPid}`);
      }
    });
}

interface RestoreFlags {
  readonly name?: string;
  readonly json?: true;
}
