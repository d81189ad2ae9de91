import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeFar } from '../lab/far.ts';
import { expectPass, startKeeper } from '../lab/keeper.ts';
import { type MemoryMove, moveMemory } from '../lab/memory-move.ts';
import { makeWorld, type Running, tell, type World } from '../lab/world.ts';

const LATE_MS = 100;
const MIB = 1024 * 1024;

describe('a job whose target is far away', () => {
  let world: World;
  let proxy: Running;

  beforeAll(async () => {
    world = await makeWorld(`ch${process.pid}`, 'a', 'b');
    proxy = await makeFar(world, LATE_MS);
  });

  afterAll(async () => {
    await world?.down();
    await proxy?.end();
  });

  test('gets there by several channels, every page right, and sooner than by one', async () => {
    const options = 'size=64 dirty=1 kinds=anon';
    const keeper = await startKeeper(world, 'a', { options });
    const moves: MemoryMove[] = [];
    for (const channels of ['auto', '1']) {
      const words = `--mode pre-copy --compress none --channels ${channels}`;
      moves.push(await moveMemory(world, 'keeper', 'a', 'far', words));
      expectPass(await keeper.judge('b'));
      await moveMemory(world, 'keeper', 'b', 'a', '--mode stop-copy');
    }
    expectPass(await keeper.end('a'));
    expect(moves[0]?.channels).toBeGreaterThan(1);
    expect(moves[1]?.channels).toBe(1);
    const [several, one] = moves.map(({ rounds: [first] }) => {
      return (first?.wireBytes ?? 0) / MIB / ((first?.ms ?? 0) / 1000);
    });
    tell(`${2 * LATE_MS} ms away`, {
      'MiB/s by several channels': several ?? 0,
      'MiB/s by one': one ?? 0,
      'frozen (ms)': moves.map(({ frozenMs }) => frozenMs).join(' and '),
    });
    expect(several).toBeGreaterThan(one ?? 0);
  });
});
