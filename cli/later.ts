import type { Command } from 'commander';
import { MigrateError } from '../src/base/errors.ts';

/** What is promised for later is refused by name, never taken for a job and never ignored. */
export function registerLater(program: Command): void {
  for (const name of laterCommands) refuse(program, name);
  const bundle = program.commands.find((command) => command.name() === 'bundle');
  if (bundle !== undefined) refuse(bundle, 'diff');
}

/** The error for an option of a later version, or undefined. */
export function laterOption(option: string): MigrateError | undefined {
  return laterOptions.includes(option) ? notInThisVersion(option) : undefined;
}

function notInThisVersion(what: string): MigrateError {
  return new MigrateError('USAGE', `${what} is not in this version of migrate`);
}

export const laterCommands = ['plan', 'doctor', 'drain', 'protect', 'failover', 'abort'] as const;

const laterOptions = ['--dry-run'];

function refuse(parent: Command, name: string): void {
  parent
    .command(name, { hidden: true })
    .argument('[arguments...]')
    .allowUnknownOption()
    .helpOption(false)
    .action(() => {
      const words = parent.parent === null ? [name] : [parent.name(), name];
      throw notInThisVersion(words.join(' '));
    });
}
