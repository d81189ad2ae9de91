import { afterAll, beforeAll, describe, test } from 'vitest';
import { memoryModes, moveBackAndForth } from '../lab/memory-moves.ts';
import { makeWorld, type World } from '../lab/world.ts';

const MOVES = 10;
const SHAPES = [
  'size=96 zero=64 dirty=5 threads=4',
  'size=96 zero=8 dirty=5 threads=2 processes=8',
  'size=96 dirty=2 processes=64',
];

describe('memory of all kinds', () => {
  let world: World;

  beforeAll(async () => {
    world = await makeWorld(`ml${process.pid}`, 'a', 'b');
  });

  afterAll(async () => {
    await world?.down();
  });

  for (const [, words] of memoryModes) {
    for (const options of SHAPES) {
      test(`${MOVES} moves, ${words}: ${options}`, async () => {
        await moveBackAndForth(world, { options, words, moves: MOVES });
      });
    }
  }
});
