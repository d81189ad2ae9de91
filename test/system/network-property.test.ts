import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../src/host/run.ts';
import { warmCapture } from '../../src/network/l2/capture.ts';
import { featuresHere } from '../networks/features.ts';
import { lacksOf, linesOf, type Plan, plans } from '../networks/grammar.ts';
import { keepCase } from '../networks/keep.ts';
import { regressions } from '../networks/regressions.ts';
import { seedOfRun } from '../networks/seed.ts';
import { arrives } from '../networks/trip.ts';

const tag = `np${randomBytes(3).toString('hex')}`;
const bridge = `${tag}br`;
const caseCount = 20;
/** Making a failing case smaller ends with what it has found by then. */
const shrinkTimeMs = 120_000;
const features = featuresHere();

beforeAll(async () => {
  await run('ip', ['link', 'add', bridge, 'mtu', '1500', 'type', 'bridge']);
  await run('ip', ['link', 'set', 'dev', bridge, 'up']);
  await warmCapture();
});

afterAll(async () => {
  await run('ip', ['link', 'del', bridge]);
});

describe('a namespace that once did not arrive', () => {
  for (const { name, needs, lines } of regressions) {
    test(name, async ({ skip }) => {
      const lacks = needs.filter((one) => !features.has(one));
      skip(lacks.length > 0, `this kernel lacks ${lacks.join(', ')}`);
      expect(await arrives(tag, bridge, lines)).toEqual([]);
    });
  }
});

describe('random namespaces of all that this kernel has', () => {
  test('arrive equal, and a second build of them asks the kernel for nothing', async () => {
    const seed = seedOfRun(1_799_775_654);
    console.log(`SEED=${seed}; this kernel lacks ${lacksOf(features).join(' ')}`);
    const property = fc.asyncProperty(plans(), async (plan) => {
      expect(await arrives(tag, bridge, linesOf(plan, features))).toEqual([]);
    });
    const options = { seed, numRuns: caseCount, interruptAfterTimeLimit: shrinkTimeMs };
    const { counterexample } = await fc.check(property, options);
    if (counterexample === null) return;
    const [plan] = counterexample as [Plan];
    const wrong = await arrives(tag, bridge, linesOf(plan, features)).catch(String);
    const kept = keepCase(`here-${seed}`, linesOf(plan, features), [wrong].flat());
    throw new Error(`a namespace did not arrive (SEED=${seed}): see ${kept}\n${wrong}`);
  }, 300_000);
});
