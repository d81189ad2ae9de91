import { test } from 'vitest';
import { moveNetworks } from '../networks/moves.ts';
import { randomCases } from '../networks/random-cases.ts';
import { seedOfRun } from '../networks/seed.ts';

const count = 8;
const seed = seedOfRun(1_653_274_220);

test('random namespaces of what this kernel has are the same on the host they moved to', async () => {
  console.log(`SEED=${seed}`);
  await moveNetworks(`SEED=${seed}`, 'netns', (features) => ({
    byCommand: randomCases(seed, { first: 0, count }, features),
  }));
});
