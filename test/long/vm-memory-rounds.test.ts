import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectPass, startKeeper } from '../lab/keeper.ts';
import { moveMemory } from '../lab/memory-move.ts';
import { makeWorld, tell, type World } from '../lab/world.ts';

const MIB = 1024 * 1024;

describe('pre-copy on a kernel that tracks what is written to', () => {
  let world: World;

  beforeAll(async () => {
    world = await makeWorld(`vy${process.pid}`, 'a', 'b', '--backend', 'vm');
  });

  afterAll(async () => {
    await world?.down();
  });

  test('sends all once and then what has changed; every page is right there and back', async () => {
    const keeper = await startKeeper(world, 'a', { options: 'size=32 dirty=2 kinds=anon,churn' });
    const there = await moveMemory(world, 'keeper', 'a', 'b', '--mode pre-copy');
    const back = await moveMemory(world, 'keeper', 'b', 'a', '--mode pre-copy');
    expectPass(await keeper.end('a'));
    for (const { rounds, mode, modeReason } of [there, back]) {
      expect({ mode, modeReason }).toMatchObject({ mode: 'pre-copy' });
      expect(rounds.length).toBeGreaterThan(2);
      const [first, second] = rounds.map(({ memoryBytes }) => memoryBytes);
      expect(second).toBeLessThan((first ?? 0) / 2);
      tell('rounds with soft-dirty', {
        MiB: rounds.map(({ memoryBytes }) => (memoryBytes / MIB).toFixed(1)).join(' '),
        'paused (ms)': rounds.map(({ pausedMs }) => pausedMs).join(' '),
      });
    }
    tell('frozen (ms)', { there: there.frozenMs, back: back.frozenMs });
  });
});
