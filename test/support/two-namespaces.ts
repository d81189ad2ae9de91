import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import type { NetlinkSpace } from '../../src/network/netlink/space.ts';
import { compared, type Documents, readAll, type Sections, settle, withSpace } from './settle.ts';

/** What a trip begins with, as lines for `ip -batch` and `bridge -batch`. */
export interface Scene {
  /** Devices, made in both namespaces: another part of the program makes them. */
  readonly links: string;
  /** sysctls, set in both. */
  readonly sysctls?: readonly string[];
  readonly ip?: string;
  readonly bridge?: string;
  /** Objects that these programs know no words for. */
  readonly objects?: Documents;
  /** Commands that print the same in both in the end, but for what is left of a life. */
  readonly alike?: readonly (readonly ['ip' | 'bridge', ...string[]])[];
}

export interface Trip {
  readonly documents: Documents;
  readonly rounds: number;
  /** What `ip` or `bridge` prints in the second namespace. */
  readonly show: (program: 'ip' | 'bridge', ...args: readonly string[]) => string;
}

/**
 * Makes a scene in a new namespace, reads it, builds another one from what was read and reads that.
 * Throws when the two differ; `check` then looks at the second one. Nothing is left behind.
 */
export function roundTrip(sections: Sections, scene: Scene, check?: (trip: Trip) => void): void {
  const tag = `mt-${randomBytes(3).toString('hex')}`;
  const [from, to] = [`${tag}-a`, `${tag}-b`];
  try {
    for (const name of [from, to]) {
      execFileSync('ip', ['netns', 'add', name]);
      // An address that is still looked for elsewhere has no route yet.
      const noSearch = ['all', 'default'].map((of) => `net.ipv6.conf.${of}.accept_dad=0`);
      execFileSync('ip', ['netns', 'exec', name, 'sysctl', '-qw', ...noSearch]);
      batch('ip', name, scene.links);
      if (scene.sysctls !== undefined) {
        execFileSync('ip', ['netns', 'exec', name, 'sysctl', '-qw', ...scene.sysctls]);
      }
    }
    batch('ip', from, scene.ip ?? '');
    batch('bridge', from, scene.bridge ?? '');
    const documents = withSpace(pathOf(from), (space) => {
      if (scene.objects !== undefined) {
        const all = Object.entries(readAll(space, sections));
        const more = all.map(([name, list]) => [name, [...list, ...(scene.objects?.[name] ?? [])]]);
        settle(space, sections, Object.fromEntries(more) as Documents);
      }
      return readAll(space, sections);
    });
    const plain = JSON.parse(JSON.stringify(documents)) as Documents;
    withSpace(pathOf(to), (space) => {
      const rounds = settle(space, sections, plain);
      const again = readAll(space, sections);
      equal(compared(sections, again), compared(sections, documents));
      for (const [program, ...args] of scene.alike ?? []) {
        equal(shown(program, to, args), shown(program, from, args));
      }
      check?.({ documents, rounds, show: (program, ...args) => run(program, to, args) });
    });
  } finally {
    for (const name of [from, to]) {
      try {
        // The kernel keeps some objects beyond their namespace.
        withSpace(pathOf(name), (space) => removeObjects(space, sections, scene.objects ?? {}));
        execFileSync('ip', ['netns', 'del', name], { stdio: 'ignore' });
      } catch {
        // It was not made.
      }
    }
  }
}

function removeObjects(space: NetlinkSpace, sections: Sections, objects: Documents): void {
  for (const [name, list] of Object.entries(objects)) {
    const requests = list.flatMap((one) => sections[name]?.remove(one, space.names) ?? []);
    space.socket('route').send(requests);
  }
}

export function equal(actual: unknown, expected: unknown): void {
  const [one, other] = [actual, expected].map((value) => JSON.stringify(value, undefined, 1));
  if (one !== other) throw new Error(`got ${one}\nexpected ${other}`);
}

function pathOf(name: string): string {
  return `/run/netns/${name}`;
}

/**
 * Lines without seconds that pass, and without how an address came to be sure of itself; the tables
 * of bridges have no order.
 */
function shown(program: 'ip' | 'bridge', name: string, args: readonly string[]): string[] {
  const text = run(program, name, args).replace(/(expires|valid_lft|preferred_lft) \d+sec/g, '$1');
  const lines = text.replaceAll(' nodad', '').split('\n');
  return program === 'bridge' ? lines.sort() : lines;
}

/** A batch of `ip maddr` does but its first line; a batch has one family. */
function batch(program: 'ip' | 'bridge', name: string, text: string): void {
  const lines = text
    .replace(/ +/g, ' ')
    .split('\n')
    .flatMap((line) => line.trim() || []);
  const isSingle = (line: string) => /^(maddr|-6) /.test(line);
  const many = lines.filter((line) => !isSingle(line));
  if (many.length > 0) run(program, name, ['-batch', '-'], `${many.join('\n')}\n`);
  for (const line of lines.filter(isSingle)) run(program, name, line.split(' '));
  for (let tries = 0; tries < triesMax; tries += 1) {
    if (run('ip', name, ['-6', '-o', 'addr', 'show', 'tentative']) === '') return;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, tryMs);
  }
}

/** The kernel's work queue gets to addresses that are not looked for elsewhere within a tick. */
const triesMax = 100;
const tryMs = 10;

function run(program: string, name: string, args: readonly string[], input = ''): string {
  return execFileSync(program, ['-n', name, ...args], { input, encoding: 'utf8' });
}
