import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectPass, startKeeper } from './keeper.ts';
import { moveMemory } from './memory-move.ts';
import { makeWorld, tell, type World } from './world.ts';

/** Two processes that share what they have not changed, and change it all the time. */
const options = 'size=48 dirty=5 processes=2';

describe('the memory of a job', () => {
  let world: World;

  beforeAll(async () => {
    world = await makeWorld(`mm${process.pid}`, 'a', 'b');
  });

  afterAll(async () => {
    await world?.down();
  });

  // Each mode, all kinds of memory, cut links: test/long/memory-*.test.ts.
  test('is exactly right when it went ahead, and when it followed', async () => {
    const keeper = await startKeeper(world, 'a', { options });
    const ahead = await moveMemory(world, 'keeper', 'a', 'b', '--mode pre-copy');
    expectPass(await keeper.judge('b'));
    const followed = await moveMemory(world, 'keeper', 'b', 'a', '--mode post-copy');
    expectPass(await keeper.end('a'));
    expect(ahead).toMatchObject({ mode: 'pre-copy', location: 'target-running' });
    expect(ahead.rounds[0]?.kind).toBe('pre-copy');
    expect(followed).toMatchObject({ mode: 'post-copy', location: 'target-running' });
    expect(followed.rounds.at(-1)?.kind).toBe('post-copy');
    tell('memory', { 'ahead (ms)': ahead.frozenMs, 'followed (ms)': followed.frozenMs });
  });
});
