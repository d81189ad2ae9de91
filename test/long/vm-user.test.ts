import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeWorld, type Running, tell, type World } from '../lab/world.ts';

const PORT = 7000;
const JOURNAL = '/shared/alice/journal';
const CHAIN = `python3 /shared/workloads/hash-chain.py 10.77.0.13 ${PORT} ${JOURNAL}`;
const ADDRESS = '10.77.0.141';
/** Lines that the job says at least between two moves. */
const LINES_BETWEEN = 3;

/** What the kernel says of the job's process on a host. */
const CREDENTIALS = `
  pid=$(pgrep -u alice -f '^python3 .*hash-chain') || exit 0
  grep -E '^(Uid|Gid|Groups|Cap...|NoNewPrivs):' /proc/$pid/status
`;

describe('a job of an ordinary user', () => {
  let world: World;
  let client: Running;
  let credentials = '';
  const lines: string[] = [];

  /** Reads some lines of the one connection that there is. */
  const listen = async (): Promise<void> => {
    for (let left = LINES_BETWEEN; left > 0; left -= 1) lines.push(await client.line());
  };

  beforeAll(async () => {
    world = await makeWorld(`vu${process.pid}`, 'a', 'b', 'c', '--backend', 'vm');
    await world.ask('a', 'install -d -o alice -g alice /shared/alice');
    for (const host of ['a', 'b']) await world.ask(host, 'usermod -a -G users alice');
    // One connection and no second one: a lost one ends it.
    client = world.start('c', `exec socat STDIO TCP4-LISTEN:${PORT}`);
    await world.ask('c', `until ss -Htln | grep -q :${PORT}; do sleep 0.1; done`);
    await world.ask('a', `migrate run chain --l3 --ip ${ADDRESS}/24 --user alice -- ${CHAIN}`);
  });

  afterAll(async () => {
    await world?.down();
  });

  test('starts with the rights of that user and no more', async () => {
    await listen();
    credentials = await world.ask('a', CREDENTIALS);
    expect(credentials).toMatch(/^Uid:\t1001\t1001\t1001\t1001$/m);
    expect(credentials).toMatch(/^Gid:\t1001\t1001\t1001\t1001$/m);
    expect(credentials).toMatch(/^Groups:\t100 1001 ?$/m);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) {
      expect(credentials).toMatch(new RegExp(`^${set}:\t0+$`, 'm'));
    }
  });

  test('moves there and back with its rights, its connection and its open file', async () => {
    const moves = [];
    for (const [from, to] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      moves.push(await world.move('chain', from, to));
      await listen();
      expect(await world.ask(to, CREDENTIALS)).toBe(credentials);
      expect(await world.ask(from, CREDENTIALS)).toBe('');
    }
    tell('job of a user, computing, one connection', {
      'frozen (ms)': moves.map(({ frozenMs }) => frozenMs).join(' and '),
      'total (ms)': moves.map(({ totalMs }) => totalMs).join(' and '),
    });
  });

  test('has computed the right thing and said every step of it once', async () => {
    client.say('stop');
    // What is left on the way, to the end of the connection.
    for (let line = await client.line(); line !== 'done'; line = await client.line()) {
      lines.push(line);
    }
    const steps = lines.map((line) => line.split(' '));
    expect(lines).toEqual(chain(steps.length, Number(steps[0]?.[0])));
    const journal = await readFile(join(world.shared, 'alice/journal'), 'utf8');
    expect(journal.trimEnd().split('\n')).toEqual(lines);
    const [count, digest] = steps.at(-1) ?? [];
    expect(await world.ask('a', 'cat ~alice/result')).toBe(`${count} ${digest}`);
    expect(await world.ask('a', 'stat -c %U ~alice/result')).toBe('alice');
  });
});

/** What the program says when it is right. */
function chain(length: number, step: number): string[] {
  let digest = Buffer.from('seed');
  return Array.from({ length }, (_, index) => {
    for (let left = step; left > 0; left -= 1) {
      digest = createHash('sha256').update(digest).digest();
    }
    return `${(index + 1) * step} ${digest.toString('hex')} 1001 1001 100,1001`;
  });
}
