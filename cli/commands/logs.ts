import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { given } from '../usage.ts';

export function registerLogs(program: Command, context: Context): void {
  program
    .command('logs')
    .description('print what a job has written')
    .argument('<NAME>', 'the name of the job')
    .option('-f, --follow', 'go on until the job ends')
    .action(async (name: string, flags: { follow?: true }) => {
      const api = await context.api();
      for await (const chunk of api.readLog(name, given({ follow: flags.follow }))) {
        if (!(await context.out.write(chunk))) return;
      }
    });
}
