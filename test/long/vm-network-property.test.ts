import { test } from 'vitest';
import { moveNetworks } from '../networks/moves.ts';
import { randomCases } from '../networks/random-cases.ts';
import { regressions } from '../networks/regressions.ts';
import { seedOfRun } from '../networks/seed.ts';

const count = 20;
const seed = seedOfRun();

test('random namespaces, and those that once failed, are the same on the host they moved to', async () => {
  console.log(`SEED=${seed}`);
  await moveNetworks(`SEED=${seed}`, 'vm', (features) => [
    ...randomCases(seed, { first: 0, count }, features),
    ...regressions.map(({ lines }, at) => ({ name: `r${at}`, lines })),
  ]);
});
