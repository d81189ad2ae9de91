import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeWorld, tell, type World } from './world.ts';

const ADDRESS = '10.77.0.122';
const HOSTS = ['a', 'b', 'a', 'b'] as const;
const KEYS = 20_000;

describe('redis with data', () => {
  let world: World;

  beforeAll(async () => {
    world = await makeWorld(`re${process.pid}`, 'a', 'b', 'c');
  });

  afterAll(async () => {
    await world?.down();
  });

  test('counts every acknowledged INCR of a client that pipelines through three moves', async () => {
    const server = "redis-server --save '' --protected-mode no --dir /var/lib/redis";
    await world.ask('a', `migrate run db --l3 --ip ${ADDRESS}/24 -- ${server}`);
    const cli = `redis-cli -h ${ADDRESS}`;
    await world.ask('c', `for i in $(seq 50); do ${cli} ping && break; sleep 0.1; done`);
    await world.ask('c', fill(cli));
    const client = world.start(
      'c',
      `exec python3 /shared/workloads/redis-client.py ${ADDRESS} 6379`,
    );
    expect(await client.line()).toBe('ready');
    const frozen: number[] = [];
    for (const [move, to] of HOSTS.slice(1).entries()) {
      frozen.push((await world.move('db', HOSTS[move] ?? '', to)).frozenMs);
    }
    const { code, out, err } = await client.end();
    expect(code, err).toBe(0);
    const report = JSON.parse(out) as Report;
    tell('redis through three moves', {
      'INCRs acknowledged': report.acknowledged,
      counter: report.counter,
      'longest frozen (ms)': Math.max(...frozen),
    });
    expect(report.acknowledged).toBeGreaterThan(0);
    expect(report).toMatchObject({ wrong: 0, counter: report.acknowledged, keys: KEYS + 1 });
  });
});

/** Twenty thousand values of a hundred bytes. */
function fill(cli: string): string {
  const set = `for (i = 0; i < ${KEYS}; i++) printf "SET key:%d %0100d\\n", i, i`;
  return `awk 'BEGIN { ${set} }' | ${cli} >/dev/null`;
}

interface Report {
  readonly acknowledged: number;
  readonly wrong: number;
  readonly counter: number;
  readonly keys: number;
}
