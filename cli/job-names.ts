import type { Command } from 'commander';
import { usageError } from './usage.ts';

/** A job must not be called like a command: `migrate status HOST` would not move it. */
export function refuseCommandName(name: string, command: Command): void {
  let root = command;
  while (root.parent !== null) root = root.parent;
  const names = [...root.commands.map((candidate) => candidate.name()), 'help', 'resolve'];
  if (names.includes(name)) {
    throw usageError(`'${name}' cannot be the name of a job, it is a command of migrate`);
  }
}
