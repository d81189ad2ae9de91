import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect } from 'vitest';
import type { MoveResult } from '../../src/index.ts';
import { labProgram } from './lab-program.ts';
import { type Answer, labCommand } from './machine.ts';

/** A lab of one test file's own, with the programs of test/workloads in /shared/workloads. */
export interface World {
  /** Where /shared is on this machine. */
  readonly shared: string;
  /** Runs a shell script in a host, as root, to its end. */
  sh(host: string, script: string): Promise<Answer>;
  /** The same, and its output; anything but exit 0 fails the test. */
  ask(host: string, script: string): Promise<string>;
  /** Starts a shell script in a host and lets it run. */
  start(host: string, script: string): Running;
  /** Moves a job; anything but exit 0 or 3 fails the test. */
  move(job: string, from: string, to: string): Promise<WatchedMove>;
  down(): Promise<void>;
}

/** A program in a host, told things on its standard input, a line each. */
export interface Running {
  say(line: string): void;
  /** The next line of its standard output. */
  line(): Promise<string>;
  /** Ends its standard input and waits; its remaining output. */
  end(): Promise<Answer>;
}

export interface WatchedMove extends MoveResult {
  /** When the move began, on the machine's monotonic clock, milliseconds. */
  readonly beganAt: number;
}

export async function makeWorld(name: string, ...hosts: string[]): Promise<World> {
  const lab = labCommand(name);
  const entrance: Entrance = { program: await labProgram(), lab: name };
  const up = await lab('up', ...hosts);
  expect(up.code, up.err).toBe(0);
  const shared = JSON.parse((await lab('ls', '--json')).out).shared as string;
  await cp(join(CHECKOUT, 'test/workloads'), join(shared, 'workloads'), { recursive: true });
  await lab('exec', hosts[0] ?? '', '--', 'sh', '-ec', COMPILE);
  const world: World = {
    shared,
    sh: (host, script) => lab('exec', host, '--', 'sh', '-c', script),
    async ask(host, script) {
      const { code, out, err } = await world.sh(host, script);
      expect(code, `${host}: ${script}\n${out}\n${err}`).toBe(0);
      return out;
    },
    start: (host, script) => start(entrance, host, script),
    async move(job, from, to) {
      const { code, lines, err, beganAt } = await watchMove(entrance, from, `${job} ${to}`);
      const last = lines.at(-1);
      expect([0, 3], `${job}: ${from} -> ${to}: ${last}\n${err}`).toContain(code);
      return { ...(JSON.parse(last ?? '{}') as MoveResult), beganAt };
    },
    async down() {
      await lab('down');
    },
  };
  return world;
}

/** Figures are for people: nothing here depends on them. */
export function tell(what: string, figures: Readonly<Record<string, number | string>>): void {
  const words = Object.entries(figures).map(([name, figure]) => `${name} ${round(figure)}`);
  process.stdout.write(`  ${what}: ${words.join(', ')}\n`);
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = 0, high = 0] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[middle]];
  return (low + high) / 2;
}

const CHECKOUT = join(import.meta.dirname, '../..');
const COMPILE = 'gcc -O2 -o /shared/workloads/echo-server /shared/workloads/echo-server.c';

/** Follows the output of `migrate --json`, to know when on the machine's clock the move began. */
async function watchMove(entrance: Entrance, from: string, words: string) {
  const child = inHost(entrance, from, `exec migrate ${words} --json`);
  const lines: string[] = [];
  let beganAt = Number.POSITIVE_INFINITY;
  for await (const line of child.iterable()) {
    const now = Number(process.hrtime.bigint()) / 1e6;
    lines.push(line);
    const event = JSON.parse(line) as { startMs?: number };
    // A line arrives late, never early: the earliest beginning is the best guess.
    if (event.startMs !== undefined) beganAt = Math.min(beganAt, now - event.startMs);
  }
  const { exitCode, stderr } = await child;
  return { code: exitCode ?? -1, lines, err: stderr, beganAt };
}

/** By what program commands go into the hosts of which lab. */
interface Entrance {
  readonly program: string;
  readonly lab: string;
}

function inHost({ program, lab }: Entrance, host: string, script: string) {
  return execa('node', [program, 'exec', host, '--', 'sh', '-c', script], {
    env: { LAB: lab },
    cwd: CHECKOUT,
    reject: false,
  });
}

function start(entrance: Entrance, host: string, script: string): Running {
  const child = inHost(entrance, host, script);
  const lines = child.iterable()[Symbol.asyncIterator]();
  return {
    say: (line) => void child.stdin?.write(`${line}\n`),
    async line() {
      const next = await lines.next();
      if (next.done !== true) return next.value;
      const { exitCode, stderr } = await child;
      throw new Error(`${host}: ${script}: ended with ${exitCode}: ${stderr}`);
    },
    async end() {
      child.stdin?.end();
      const rest: string[] = [];
      for (let next = await lines.next(); next.done !== true; next = await lines.next()) {
        rest.push(next.value);
      }
      const { exitCode, stderr } = await child;
      return { code: exitCode ?? -1, out: rest.join('\n'), err: stderr };
    },
  };
}

function round(figure: number | string): string {
  return typeof figure === 'string' ? figure : String(Math.round(figure * 10) / 10);
}
