import { expect, test } from 'vitest';
import { floorMs } from '../../../bench/memory/floor.ts';
import {
  axes,
  basePoint,
  defaultWish,
  makePlan,
  type PlanWish,
} from '../../../bench/memory/plan.ts';
import { type MemoryReport, renderMemory } from '../../../bench/memory/report.ts';
import { type Recording, replay, type StopRule, stopRules } from '../../../bench/memory/rules.ts';
import { type Sample, wayWord } from '../../../bench/memory/ways.ts';

const mib = 2 ** 20;

test('a plan varies one thing at a time from its base point, and names it', () => {
  const plan = makePlan(defaultWish);
  const base = basePoint(defaultWish);
  expect(plan[0]).toMatchObject({ point: base, axis: undefined });
  for (const { point, axis } of plan.slice(1)) {
    expect(axes.filter((one) => point[one] !== base[one])).toEqual([axis]);
  }
  const values = axes.reduce((sum, axis) => sum + defaultWish[axis].length - 1, 1);
  expect(plan).toHaveLength(values);
  expect(new Set(plan.map(({ point }) => JSON.stringify(point))).size).toBe(values);
});

test('a plan knows which of its points take long', () => {
  const slow = makePlan(defaultWish).filter(({ isSlow }) => isSlow);
  expect(slow.map(({ point }) => [point.mib, point.link])).toEqual([
    [1024, '1gbit'],
    [256, '100mbit'],
  ]);
});

test('migrate gets a flag for compression only when the plan has one', () => {
  expect(wayWord('migrate auto', 'default')).toBe('--mode auto');
  expect(wayWord('migrate auto', 'zstd')).toBe('--mode auto --compress zstd');
  expect(wayWord('rsync -z', 'zstd')).toBe('rsync');
});

const recording: Recording = {
  memoryBytes: 100 * mib,
  rounds: [100, 40, 20, 8, 4, 2, 1].map((size) => ({ sentBytes: size * mib, ms: size * 10 })),
};

function rule(name: string): StopRule {
  const found = stopRules.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no rule ${name}`);
  return found;
}

test('Incus ends pre-copy once more than 70 percent are there, whatever a freeze would cost', () => {
  const { rounds, sentBytes, restBytes, predictedMs } = replay(rule('Incus'), recording);
  expect({ rounds, sentBytes, restBytes, predictedMs }).toEqual({
    rounds: 3,
    sentBytes: 160 * mib,
    restBytes: 8 * mib,
    predictedMs: 160,
  });
});

test('p.haul ends at 64 pages, at growth, or after nine rounds', () => {
  const of = (bytes: readonly number[]) =>
    replay(rule('p.haul'), {
      memoryBytes: mib,
      rounds: bytes.map((sentBytes) => ({ sentBytes, ms: 1 })),
    });
  expect(of([mib, 64 * 4096, 1])).toMatchObject({ rounds: 2, restBytes: 1, why: 'small' });
  expect(of([mib, mib * 1.05, mib * 1.3, 1])).toMatchObject({ rounds: 3, why: 'grows' });
  expect(of(Array.from({ length: 13 }, () => mib))).toMatchObject({
    rounds: 9,
    why: 'too many rounds',
  });
});

test('our rule ends when what is left takes a moment, or when comparing again is of no use', () => {
  expect(replay(rule('migrate, soft-dirty'), recording)).toMatchObject({
    rounds: 4,
    why: 'enough',
  });
  expect(replay(rule('migrate, digest'), recording).rounds).toBe(2);
});

test('a recording that is shorter than a rule says so', () => {
  const short = { memoryBytes: 10 * mib, rounds: [{ sentBytes: 10 * mib, ms: 10 }] };
  expect(replay(rule('Incus'), short)).toMatchObject({ rounds: 1, why: 'the recording ended' });
});

test('the floor is lower the less must travel while a job is frozen', () => {
  const point = basePoint(defaultWish);
  const size = { memoryBytes: 256 * mib, areas: 30 };
  const stop = floorMs(point, 'migrate stop-copy', size);
  expect(stop).toBeGreaterThan(2_100);
  expect(floorMs(point, 'rsync -z', size)).toBe(stop);
  const ahead = floorMs(point, 'migrate pre-copy', size);
  const behind = floorMs(point, 'migrate post-copy', size);
  expect(ahead).toBeGreaterThan(behind);
  expect(behind).toBeGreaterThan(39.5);
  expect(behind).toBeLessThan(45);
  expect(floorMs({ ...point, contents: 'zero' }, 'rsync -z', size)).toBe(behind);
  // Written as fast as it can be sent, memory can't go ahead.
  expect(floorMs({ ...point, dirtyPercent: 50 }, 'migrate pre-copy', size)).toBe(stop);
});

const wish: PlanWish = { ...defaultWish, mib: [256, 16], contents: ['random'], link: ['1gbit'] };
const sample: Sample = {
  frozenMs: 200,
  totalMs: 2_000,
  wireBytes: 512 * mib,
  memoryBytes: 256 * mib,
  areas: 30,
  roundsAhead: 2,
  predictedMs: 180,
  mode: 'pre-copy',
};

test('the report has a table for what varies, ratios in it, and what failed below it', () => {
  const [base, ...others] = makePlan(wish);
  const report: MemoryReport = {
    ...{ runs: 2, warmUp: 0, wish, availableMib: 8_000, skipped: [], hasPodman: false },
    conditions: {
      ...{ date: 'now', kernel: '6', criu: '4', openssh: '10', node: '20', machine: '2 cores' },
      ...{ loadBefore: [0], loadAfter: [1] },
    },
    series: [base, ...others].flatMap((one) =>
      one === undefined
        ? []
        : [
            {
              ...one,
              series: [
                {
                  way: 'migrate auto',
                  samples: [sample, { ...sample, frozenMs: 300 }],
                  failures: [],
                },
                { way: 'page-server', samples: [{ ...sample, frozenMs: 1_000 }], failures: [] },
                { way: 'rsync -z', samples: [], failures: ['no room'] },
              ],
            },
          ],
    ),
    recordings: [{ point: basePoint(wish), recording }],
  };
  const text = renderMemory(report);
  expect(text).toContain('## By memory');
  expect(text).not.toContain('## By contents');
  const row = text.split('\n').find((line) => line.includes('migrate auto (pre-copy)'));
  const cells = row?.split('|').map((cell) => cell.trim());
  expect(cells?.slice(1, 9)).toEqual([
    ...['16 MiB', 'default', 'migrate auto (pre-copy)', '2', '250 (200–300)', '2.0 (2.0–2.0)'],
    ...['2.00', '2'],
  ]);
  expect(cells?.at(-2)).toBe('4.0');
  expect(text).toContain('| 0 of 1 |');
  expect(text).toContain('rsync -z: no room');
  expect(text).toContain('podman is not there');
  expect(text).toContain('p.haul');
});
