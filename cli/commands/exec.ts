import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { given } from '../usage.ts';

export function registerExec(program: Command, context: Context): void {
  program
    .command('exec')
    .description("run a program inside a job; its exit status is the program's")
    .usage('NAME [options] [--] CMD...')
    .argument('<NAME>', 'the name of the job')
    .argument('<CMD...>', 'the program and its arguments')
    .option('-t, --tty', 'give the program a terminal')
    .action(async (name: string, words: string[], flags: { tty?: true }) => {
      // The terminal sends SIGINT to the program too, and that one decides.
      context.signals.watch(['SIGINT']);
      const api = await context.api();
      context.exitCode = await api.execInJob(name, words, given({ tty: flags.tty }));
    });
}
