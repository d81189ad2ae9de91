import { join } from 'node:path';
import { execa } from 'execa';

/** The demo's own lab, worked as a person would: by its commands. */
export interface DemoLab {
  exists(): Promise<boolean>;
  up(hosts: readonly string[]): Promise<void>;
  /** Runs a command in a host, hands on each line that it prints, resolves to its exit status. */
  exec(
    host: string,
    command: readonly string[],
    onLine?: (line: string) => void,
  ): Promise<{ readonly exit: number; readonly lastWords: string }>;
  /** The same for one that runs until `stop`, which ends its standard input. */
  start(
    host: string,
    command: readonly string[],
    onLine: (line: string) => void,
  ): { stop(): Promise<void> };
  /** Takes it down; not even a second Ctrl-C keeps it from that. */
  down(): Promise<void>;
}

/** The first `up` on a machine builds a root file system from packages. */
const upTimeoutMs = 20 * 60_000;
/** Moves take seconds; a machine that needs this long hangs. */
const execTimeoutMs = 60_000;
const downTimeoutMs = 120_000;

const checkout = join(import.meta.dirname, '..');
const labProgram = ['--import', 'tsx', join(checkout, 'lab', 'main.ts')];

export function createDemoLab(name: string, signal: AbortSignal): DemoLab {
  const common = { cwd: checkout, env: { LAB: name }, reject: false } as const;
  const bound = { ...common, cancelSignal: signal } as const;
  const command = (host: string, argv: readonly string[]): string[] => [
    ...labProgram,
    ...['exec', host, '--', ...argv],
  ];
  return {
    async exists() {
      const { exitCode } = await execa(process.execPath, [...labProgram, 'ls'], bound);
      signal.throwIfAborted();
      return exitCode === 0;
    },
    async up(hosts) {
      const stdio = ['ignore', 'inherit', 'inherit'] as const;
      const options = { ...bound, stdio, timeout: upTimeoutMs };
      const { failed } = await execa(process.execPath, [...labProgram, 'up', ...hosts], options);
      signal.throwIfAborted();
      if (failed) throw new Error(`the lab ${name} did not come up`);
    },
    async exec(host, argv, onLine) {
      const options = { ...bound, stdin: 'ignore', timeout: execTimeoutMs } as const;
      const running = execa(process.execPath, command(host, argv), options);
      let last = '';
      for await (const line of running.iterable({ from: 'stdout' })) {
        last = line;
        onLine?.(line);
      }
      const { exitCode, stderr, shortMessage } = await running;
      signal.throwIfAborted();
      return { exit: exitCode ?? 1, lastWords: stderr || last || shortMessage || '' };
    },
    start(host, argv, onLine) {
      const options = { ...bound, stdin: 'pipe', stderr: 'inherit', buffer: false } as const;
      const running = execa(process.execPath, command(host, argv), options);
      const read = (async () => {
        for await (const line of running.iterable()) onLine(line);
      })();
      // Its end is awaited by `stop`, which may come after it has failed.
      read.catch(() => undefined);
      return {
        async stop() {
          running.stdin.end();
          await read;
          const { exitCode } = await running;
          if (exitCode !== 0) throw new Error('the client ended before its time');
        },
      };
    },
    async down() {
      const options = {
        ...common,
        detached: true,
        stdio: 'ignore',
        timeout: downTimeoutMs,
      } as const;
      const { failed } = await execa(process.execPath, [...labProgram, 'down'], options);
      if (failed)
        throw new Error(`lab ${name} is not all gone: LAB=${name} npm run -s lab -- down`);
    },
  };
}
