import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectPass, startKeeper } from '../lab/keeper.ts';
import { moveMemory } from '../lab/memory-move.ts';
import { makeWorld, median, tell, type World } from '../lab/world.ts';

const MIB = 1024 * 1024;
const SMALL_MIB = 16;
const LARGE_MIB = 2_048;
const MOVES = 6;
/** The freeze of a large job lasts at most so many times as long as a small one's. */
const RATIO_MAX = 3;
/** Without post-copy it grows by less than this part of what it does when all is copied in it. */
const PART_MAX = 1 / 3;

let world: World;

beforeAll(async () => {
  world = await makeWorld(`mg${process.pid}`, 'a', 'b');
});

afterAll(async () => {
  await world?.down();
});

test('the pause does not grow with the memory of the job', async () => {
  const frozen = new Map<string, number>();
  for (const size of [SMALL_MIB, LARGE_MIB]) {
    // Half of what it is given is kept for what the program says of the other half.
    const keeper = await startKeeper(world, 'a', {
      options: `size=${size * 2} dirty=0 kinds=anon`,
    });
    for (const mode of ['post-copy', 'auto', 'stop-copy']) {
      const times: number[] = [];
      for (let move = 0; move < MOVES; move += 1) {
        const [from, to] = move % 2 === 0 ? (['a', 'b'] as const) : (['b', 'a'] as const);
        const { frozenMs, memoryBytes } = await moveMemory(
          world,
          'keeper',
          from,
          to,
          `--mode ${mode}`,
        );
        expect(memoryBytes).toBeGreaterThan(size * MIB);
        times.push(frozenMs);
      }
      frozen.set(`${mode} ${size}`, median(times));
      tell(`${size} MiB, ${mode}`, { 'frozen (ms)': times.join(' ') });
    }
    expectPass(await keeper.judge('a'));
    expectPass(await keeper.end('a'));
  }
  const of = (mode: string, size: number) => frozen.get(`${mode} ${size}`) ?? Number.NaN;
  const growth = (mode: string) => of(mode, LARGE_MIB) - of(mode, SMALL_MIB);
  tell('frozen (ms), medians', Object.fromEntries(frozen));
  tell('growth', {
    'post-copy, times': of('post-copy', LARGE_MIB) / of('post-copy', SMALL_MIB),
    'auto, part of stop-copy': growth('auto') / growth('stop-copy'),
  });
  expect(of('post-copy', LARGE_MIB)).toBeLessThanOrEqual(of('post-copy', SMALL_MIB) * RATIO_MAX);
  expect(growth('auto')).toBeLessThan(growth('stop-copy') * PART_MAX);
});
