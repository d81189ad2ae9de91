import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectPass, startKeeper } from '../lab/keeper.ts';
import { moveMemory } from '../lab/memory-move.ts';
import { memoryModes, moveBackAndForth } from '../lab/memory-moves.ts';
import { makeWorld, median, tell, type World } from '../lab/world.ts';

const MIB = 1024 * 1024;
/** Guests have disks of their own: what a job writes into a file stays there. */
const KINDS = 'kinds=anon,sparse,shared,memfd,thp,guard,locked,churn';
const SHAPES = [
  `size=32 zero=16 dirty=5 threads=2 ${KINDS}`,
  `size=32 dirty=2 processes=8 ${KINDS}`,
];
const SMALL_MIB = 16;
/** Guests send some MiB a second: 2 % of more than this is written faster than it is sent. */
const LARGE_MIB = 128;
const DIRTY_PERCENT = 2;
/** A large job's freeze lasts at most so many times as long as a small one's. */
const RATIO_MAX = 3;
const ROUNDS = 2;

describe('memory between virtual machines', () => {
  let world: World;

  beforeAll(async () => {
    world = await makeWorld(`vm${process.pid}`, 'a', 'b', '--backend', 'vm');
  });

  afterAll(async () => {
    await world?.down();
  });

  for (const [, words] of memoryModes) {
    for (const options of SHAPES) {
      test(`there and back, ${words}: ${options}`, async () => {
        await moveBackAndForth(world, { options, words, moves: 2 });
      });
    }
  }

  test('a large job that writes a little is frozen about as long as a small one', async () => {
    const frozen: Record<number, number> = {};
    for (const size of [SMALL_MIB, LARGE_MIB]) {
      const options = `size=${size * 2} dirty=${DIRTY_PERCENT} kinds=anon`;
      const keeper = await startKeeper(world, 'a', { options });
      const times: number[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const there = await moveMemory(world, 'keeper', 'a', 'b', '--mode pre-copy');
        expect(there.memoryBytes).toBeGreaterThan(size * MIB);
        times.push(there.frozenMs);
        expectPass(await keeper.judge('b'));
        await moveMemory(world, 'keeper', 'b', 'a', '--mode pre-copy');
      }
      expectPass(await keeper.end('a'));
      frozen[size] = median(times);
    }
    tell('frozen (ms), medians', Object.fromEntries(Object.entries(frozen)));
    expect(frozen[LARGE_MIB]).toBeLessThanOrEqual((frozen[SMALL_MIB] ?? 0) * RATIO_MAX);
  });
});
