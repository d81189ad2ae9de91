import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { systemCalls } from './syscalls.ts';

export interface SpawnOptions {
  /** `inherit` gives it our terminal; else 0 is /dev/null and 1, 2 are collected or dropped. */
  readonly stdio: 'inherit' | 'ignore' | 'stderr';
  /**
   * Pipes on descriptors 3 (the program reads) and 4 (it writes), for a talk with its hooks. Pipes
   * and not sockets, because a hook finds them as /proc/PPID/fd/3 and 4 and can open them there.
   */
  readonly channel?: boolean;
  /** A descriptor, 5 or above, on which the program finds a socket whose other end is closed. */
  readonly closedSocketOn?: number;
  /** In a session of its own, so that what ends us does not end it. */
  readonly detached?: boolean;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Spawned {
  readonly pid: number | undefined;
  readonly stderr: Readable | undefined;
  readonly channel: Channel | undefined;
  /** Exit status as a shell tells it: 128+N for signal N, 127 if it could not be started. */
  readonly ended: Promise<number>;
  kill(signal: NodeJS.Signals): void;
  /** Lets our process end while it goes on. */
  unref(): void;
}

export interface Channel {
  /** What the program wrote to descriptor 4. */
  readonly input: Readable;
  /** What it reads from descriptor 3. */
  readonly output: Writable;
}

/** Starts a program that outlives the call; the argument vector goes to execve as it is. */
export function spawnProgram(
  program: string,
  args: readonly string[],
  options: SpawnOptions,
): Spawned {
  const base = options.stdio === 'inherit' ? 'inherit' : 'ignore';
  const pipes = options.channel === true ? openPipes() : undefined;
  const child = spawn(program, args, {
    stdio: [
      base,
      base,
      options.stdio === 'stderr' ? 'pipe' : base,
      ...(pipes === undefined ? [] : pipes.theirs),
      ...closedSocket(pipes === undefined ? 3 : 5, options.closedSocketOn),
    ],
    detached: options.detached ?? false,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: { ...options.env } }),
  });
  if (options.closedSocketOn !== undefined) child.stdio[options.closedSocketOn]?.destroy();
  // The program has its ends now; while we held them too, nobody would see the other one die.
  for (const fd of pipes?.theirs ?? []) closeSync(fd);
  return {
    pid: child.pid,
    stderr: child.stderr ?? undefined,
    channel: pipes?.channel,
    ended: endOf(child),
    kill: (signal) => void child.kill(signal),
    unref: () => child.unref(),
  };
}

/** What node calls a pipe is one end of a socketpair(2). */
function closedSocket(next: number, fd: number | undefined): ('ignore' | 'pipe')[] {
  if (fd === undefined) return [];
  return [...Array.from({ length: fd - next }, () => 'ignore' as const), 'pipe'];
}

function openPipes(): { theirs: readonly [number, number]; channel: Channel } {
  const [answersRead, answersWrite] = systemCalls().pipe();
  const [eventsRead, eventsWrite] = systemCalls().pipe();
  return {
    theirs: [answersRead, eventsWrite],
    channel: {
      input: new Socket({ fd: eventsRead, readable: true, writable: false }),
      output: new Socket({ fd: answersWrite, readable: false, writable: true }),
    },
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
