import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { moveMemory } from '../lab/memory-move.ts';
import { makeWorld, tell, type World } from '../lab/world.ts';

const COUNTS = [10, 1_000, 10_000];
const ADDRESS = '10.77.0.170';
const PORT = 7_100;

describe('a server with many connections', () => {
  let world: World;

  beforeAll(async () => {
    world = await makeWorld(`cn${process.pid}`, 'a', 'b', 'c');
  });

  afterAll(async () => {
    await world?.down();
  });

  for (const count of COUNTS) {
    test(`${count} of them: each lives after a move there and back`, async () => {
      await world.ask(
        'a',
        `migrate run crowd --l3 --ip ${ADDRESS}/24 -- /shared/workloads/echo-server ${PORT}`,
      );
      const client = world.start(
        'c',
        `exec python3 /shared/workloads/crowd-client.py ${ADDRESS} ${PORT} ${count}`,
      );
      expect(await client.line()).toBe('ready');
      const there = await moveMemory(world, 'crowd', 'a', 'b', '');
      const back = await moveMemory(world, 'crowd', 'b', 'a', '');
      const { out } = await client.end();
      expect(JSON.parse(out)).toEqual({ count, right: count, error: null });
      for (const { sockets } of [there, back]) expect(sockets.established).toBe(count);
      tell(`${count} connections`, {
        'frozen (ms)': `${there.frozenMs} ${back.frozenMs}`,
        'total (ms)': `${there.totalMs} ${back.totalMs}`,
        phases: there.phases.map(({ name, ms }) => `${name} ${ms}`).join(', '),
      });
      await world.ask('a', 'migrate stop crowd --timeout 1 && migrate rm crowd');
    });
  }
});
