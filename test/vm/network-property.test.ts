import { test } from 'vitest';
import { moveNetworks } from '../networks/moves.ts';
import { randomCases } from '../networks/random-cases.ts';
import { regressions } from '../networks/regressions.ts';
import { seedOfRun } from '../networks/seed.ts';

/** The long run has 300, and others each time: test/long/network-property.test.ts. */
const counts = { byCommand: 2, byDocument: 18 } as const;
const seed = seedOfRun(2_132_377_163);

test('random namespaces, and those that once failed, are the same on the host they moved to', async () => {
  console.log(`SEED=${seed}`);
  await moveNetworks(`SEED=${seed}`, 'vm', (features) => {
    const cases = randomCases(
      seed,
      { first: 0, count: counts.byCommand + counts.byDocument },
      features,
    );
    return {
      byCommand: cases.slice(0, counts.byCommand),
      byDocument: [
        ...cases.slice(counts.byCommand),
        ...regressions.map(({ lines }, at) => ({ name: `r${at}`, lines })),
      ],
    };
  });
});
