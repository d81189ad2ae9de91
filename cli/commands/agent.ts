import type { Command } from 'commander';
import type { Context } from '../context.ts';

/** The remote end of a move, on standard input and output; started by `migrate`, not by people. */
export function registerAgent(program: Command, context: Context): void {
  program.command('agent', { hidden: true }).action(async () => (await context.api()).runAgent());
}
