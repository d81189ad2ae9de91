import type { Command } from 'commander';
import type { Context } from '../context.ts';

export function registerExec(program: Command, context: Context): void {
  program
    .command('exec')
    .description("run a program inside a job; its exit status is the program's")
    .usage('NAME [--] CMD...')
    .argument('<NAME>', 'the name of the job')
    .argument('<CMD...>', 'the program and its arguments')
    .action(async (name: string, words: string[]) => {
      // The terminal sends SIGINT to the program too, and that one decides.
      context.signals.watch(['SIGINT']);
      const api = await context.api();
      context.exitCode = await api.execInJob(name, words);
    });
}
