import { test } from 'vitest';
import { moveNetworks } from '../networks/moves.ts';
import { randomCases } from '../networks/random-cases.ts';
import { seedOfRun } from '../networks/seed.ts';

const total = 300;
/** A lab each: what a host keeps of moves that are over is no part of the next ones. */
const perLab = 25;
/** So many of them by `migrate netns:NAME`, which takes two guests some minutes. */
const byCommand = 1;
const seed = seedOfRun();

console.log(`SEED=${seed}`);

test.each(Array.from({ length: total / perLab }, (_, at) => at * perLab))(
  'random namespaces from number %i on are the same on the host they moved to',
  async (first) => {
    await moveNetworks(`SEED=${seed}`, 'vm', (features) => {
      const cases = randomCases(seed, { first, count: perLab }, features);
      return { byCommand: cases.slice(0, byCommand), byDocument: cases.slice(byCommand) };
    });
  },
);
