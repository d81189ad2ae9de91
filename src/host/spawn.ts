import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

export interface SpawnOptions {
  /** `inherit` gives it our terminal; otherwise 0 is /dev/null and 1, 2 are collected or dropped. */
  readonly stdio: 'inherit' | 'ignore' | 'stderr';
  /** A socket pair on descriptor 3, for a conversation with the program's hooks. */
  readonly channel?: boolean;
  /** In a session of its own, so that what ends us does not end it. */
  readonly detached?: boolean;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Spawned {
  readonly pid: number | undefined;
  readonly stderr: Readable | undefined;
  readonly channel: (Readable & Writable) | undefined;
  /** Exit status as a shell tells it: 128+N for signal N, 127 if it could not be started. */
  readonly ended: Promise<number>;
  kill(signal: NodeJS.Signals): void;
  /** Lets our process end while it goes on. */
  unref(): void;
}

/** Starts a program that outlives the call; the argument vector goes to execve as it is. */
export function spawnProgram(
  program: string,
  args: readonly string[],
  options: SpawnOptions,
): Spawned {
  const base = options.stdio === 'inherit' ? 'inherit' : 'ignore';
  const child = spawn(program, args, {
    stdio: [
      base,
      base,
      options.stdio === 'stderr' ? 'pipe' : base,
      ...(options.channel === true ? (['pipe'] as const) : []),
    ],
    detached: options.detached ?? false,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: { ...options.env } }),
  });
  return {
    pid: child.pid,
    stderr: child.stderr ?? undefined,
    channel: (child.stdio[3] ?? undefined) as (Readable & Writable) | undefined,
    ended: endOf(child),
    kill: (signal) => void child.kill(signal),
    unref: () => child.unref(),
  };
}

function endOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once('error', () => resolve(127));
    child.once('exit', (code, signal) => resolve(code ?? 128 + signalNumber(signal)));
  });
}

const signalNumbers: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
};

function signalNumber(signal: NodeJS.Signals | null): number {
  return signalNumbers[signal ?? ''] ?? 0;
}
