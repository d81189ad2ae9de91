import type { Api } from '../../cli/api.ts';
import type { Context } from '../../cli/context.ts';
import { runProgram } from '../../cli/program.ts';
import { MigrateError } from '../../src/base/errors.ts';
import type { JobRecord, MoveResult } from '../../src/index.ts';

export interface Ran {
  readonly status: number;
  readonly out: string;
  readonly err: string;
  /** The functions of src/ that were called, with their arguments. */
  readonly calls: readonly unknown[][];
}

export interface World {
  /** What src/ answers; a function that is not given fails the test. */
  readonly api?: Partial<Api>;
  readonly terminal?: boolean;
  readonly input?: string;
  readonly signal?: NodeJS.Signals;
}

/** Runs the command line in this process over an API that a test made up. */
export async function runCli(argv: readonly string[], world: World = {}): Promise<Ran> {
  const text = { out: '', err: '' };
  const calls: unknown[][] = [];
  const controller = new AbortController();
  const output = (name: 'out' | 'err') => ({
    write: async (data: string | Uint8Array) => {
      text[name] += typeof data === 'string' ? data : Buffer.from(data).toString();
      return true;
    },
    isTerminal: world.terminal ?? false,
    columns: 80,
  });
  const context: Context = {
    out: output('out'),
    err: output('err'),
    signals: {
      watch: () => {
        if (world.signal !== undefined) controller.abort();
        return controller.signal;
      },
      received: world.signal,
    },
    api: async () => recording(world.api ?? {}, calls),
    readInput: async () => world.input ?? '',
    exitCode: 0,
  };
  const status = await runProgram(argv, context);
  return { status, ...text, calls };
}

function recording(api: Partial<Api>, calls: unknown[][]): Api {
  return new Proxy(api as Api, {
    get(target, name: keyof Api | 'then') {
      if (name === 'then') return undefined;
      const answer = target[name] as ((...args: unknown[]) => unknown) | undefined;
      return (...args: unknown[]) => {
        calls.push([name, ...args]);
        if (answer === undefined) throw new MigrateError('INTERNAL', `${name} was called`);
        return answer(...args);
      };
    },
  });
}

export const webJob: JobRecord = {
  name: 'web',
  kind: 'l3',
  ip: ['10.77.1.1/16'],
  command: ['nginx', '-g', 'daemon off;'],
  state: 'running',
  cwd: '/',
  hostname: 'a',
  device: 'eth0',
  epoch: 0,
  initStartTime: 4321,
  initPid: 1234,
  cgroup: '/sys/fs/cgroup/migrate/web',
  createdAt: '2025-11-23T20:00:00.000Z',
  logPath: '/var/log/migrate/web.log',
};

export const moved: MoveResult = {
  type: 'result',
  id: 'm1',
  job: 'web',
  kind: 'l3',
  mode: 'stop-copy',
  channels: 1,
  modeReason: 'its memory is small',
  predictedFrozenMs: null,
  source: 'a',
  target: 'b',
  location: 'target-running',
  frozenMs: 41.2,
  totalMs: 812,
  memoryBytes: 17_825_792,
  wireBytes: 4_194_304,
  rounds: [],
  phases: [],
  sockets: { listening: 1, established: 4, udp: 0, closed: 0 },
  packets: { held: 3, dropped: 0 },
  warnings: [],
};
