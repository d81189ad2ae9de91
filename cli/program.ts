import { Command, CommanderError } from 'commander';
import manifest from '../package.json' with { type: 'json' };
import { asMigrateError, type MigrateError } from '../src/base/errors.ts';
import { registerAgent } from './commands/agent.ts';
import { registerBundle } from './commands/bundle.ts';
import { registerCheckpoint } from './commands/checkpoint.ts';
import { registerExec } from './commands/exec.ts';
import { registerList } from './commands/list.ts';
import { registerLogs } from './commands/logs.ts';
import { registerMove } from './commands/move.ts';
import { registerRecover } from './commands/recover.ts';
import { registerRestore } from './commands/restore.ts';
import { registerRun } from './commands/run.ts';
import { registerStatus } from './commands/status.ts';
import { registerStop } from './commands/stop.ts';
import type { Context } from './context.ts';
import { exitCodeOf, exitMeanings } from './exit-codes.ts';
import { laterOption, registerLater } from './later.ts';
import { errorInWords, errorRecord } from './report/error.ts';
import { separateCommand } from './separate-command.ts';
import { usageError } from './usage.ts';

/** Parses, runs, reports; returns the exit status and throws nothing. */
export async function runProgram(argv: readonly string[], context: Context): Promise<number> {
  try {
    await buildProgram(context).parseAsync(separateCommand(argv), { from: 'user' });
    return context.exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    return fail(fromCommander(error), argv, context);
  }
}

/** Says what failed, as people or as programs read it, and returns the exit status. */
export async function fail(
  error: MigrateError,
  argv: readonly string[],
  context: Context,
): Promise<number> {
  const { moving: job, signals } = context;
  if (wantsJson(argv)) {
    const record = errorRecord(error, { job, signal: signals.received });
    await context.out.write(`${JSON.stringify(record)}\n`);
  } else {
    await context.err.write(errorInWords(error, job));
  }
  return exitCodeOf(error, signals.received);
}

function buildProgram(context: Context): Command {
  const program = new Command('migrate')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void context.out.write(text),
      writeErr: () => {},
      getOutHelpWidth: () => helpColumns,
    })
    .configureHelp({ subcommandTerm: term })
    .helpCommand('help [COMMAND]', 'say more about a command')
    .enablePositionalOptions()
    .description('Moves running Linux jobs to another host, connections and addresses included.')
    .version(manifest.version)
    .hook('preSubcommand', refuseEarlyOptions);
  registerMove(program, context);
  registerRun(program, context);
  registerList(program, context);
  registerExec(program, context);
  registerLogs(program, context);
  registerStop(program, context);
  registerCheckpoint(program, context);
  registerRestore(program, context);
  registerBundle(program, context);
  registerStatus(program, context);
  registerRecover(program, context);
  registerAgent(program, context);
  registerLater(program);
  program.addHelpText('after', `\nExit status:\n${exitTable()}`);
  return program;
}

const helpColumns = 100;

/** A command in the list of commands: its name, then its arguments or its own commands. */
function term(command: Command): string {
  const verbs = command.commands.map((verb) => verb.name()).filter((verb) => verb !== 'diff');
  const words = command.registeredArguments.map((argument) => {
    const word = `${argument.name()}${argument.variadic ? '...' : ''}`;
    return argument.required ? word : `[${word}]`;
  });
  return [command.name(), ...(verbs.length > 0 ? [verbs.join('|')] : words)].join(' ');
}

function exitTable(): string {
  return Object.entries(exitMeanings)
    .map(([code, meaning]) => `  ${code.padStart(3)}  ${meaning}\n`)
    .join('');
}

/** The options of a move mean nothing before another command's name. */
function refuseEarlyOptions(program: Command, command: Command): void {
  const early = Object.keys(program.opts()).find(
    (name) => program.getOptionValueSource(name) === 'cli',
  );
  if (early !== undefined) {
    throw usageError(`options of ${command.name()} come after its name: --${early}`);
  }
}

function fromCommander(error: unknown): MigrateError {
  if (!(error instanceof CommanderError)) return asMigrateError(error);
  const message = error.message.replace(/^error: /, '');
  const option = error.code === 'commander.unknownOption' ? /'(--?[^'=]+)/.exec(message)?.[1] : '';
  return laterOption(option ?? '') ?? usageError(message);
}

function wantsJson(argv: readonly string[]): boolean {
  const args = separateCommand(argv);
  const end = args.indexOf('--');
  return (end === -1 ? args : args.slice(0, end)).includes('--json');
}
