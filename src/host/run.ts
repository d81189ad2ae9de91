import { execa, type Options } from 'execa';
import { MigrateError, tidyText } from '../base/errors.ts';
import { limits } from '../base/limits.ts';

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly timeoutMs?: number;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Exit codes that are not errors; 0 alone unless said. */
  readonly okCodes?: readonly number[];
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/**
 * Runs a program to its end; the argument vector goes to execve as it is, no shell reads it.
 * Throws PROGRAM_FAILED with the first line of standard error.
 */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  return resultOf(await execa(program, args, execaOptions(options)), program, args, options);
}

/** What execa says of a program that ended. */
interface Ended {
  readonly stdout?: unknown;
  readonly stderr?: unknown;
  readonly exitCode?: number | undefined;
  readonly timedOut?: boolean;
  readonly shortMessage?: string | undefined;
}

/** What a program came to, or PROGRAM_FAILED. */
export function resultOf(
  result: Ended,
  program: string,
  args: readonly string[],
  options: RunOptions,
): RunResult {
  const stdout = String(result.stdout ?? '');
  const stderr = String(result.stderr ?? '').slice(0, limits.stderrBytesMax);
  const exitCode = result.exitCode;
  if (exitCode !== undefined && (options.okCodes ?? [0]).includes(exitCode)) {
    return { stdout, stderr, exitCode };
  }
  const why = result.timedOut
    ? `still running after ${options.timeoutMs ?? limits.toolTimeoutMs} ms`
    : firstLine(stderr) || result.shortMessage || `exit code ${exitCode}`;
  throw new MigrateError('PROGRAM_FAILED', `${program} ${args.join(' ')}: ${tidyText(why)}`, {
    cause: result,
  });
}

function execaOptions(options: RunOptions): Options {
  return {
    reject: false,
    // A group of its own: Ctrl-C is for us to answer, and must not hit the tools of a rollback.
    detached: true,
    stripFinalNewline: false,
    timeout: options.timeoutMs ?? limits.toolTimeoutMs,
    maxBuffer: limits.stdoutBytesMax,
    ...(options.input === undefined ? { stdin: 'ignore' } : { input: options.input }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env }),
  };
}

function firstLine(text: string): string {
  return text.split('\n').find((line) => line.trim() !== '') ?? '';
}
