import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type AheadRound,
  type NextStep,
  nextStep,
  preCopyLimits,
} from '../../../src/migration/pre-copy.ts';

type Wish = Parameters<typeof nextStep>[2];

const mib = 1024 * 1024;
const anyTime: Wish = { maxFrozenMs: undefined, fixedMs: 80 };

/** A job that dirties `dirty` bytes a millisecond, on a link that carries `link` of them. */
function drive(
  { dirty, link, bytes }: { dirty: number; link: number; bytes: number },
  wish: Wish,
): { rounds: AheadRound[]; last: NextStep } {
  const rounds: AheadRound[] = [];
  let left = bytes;
  for (;;) {
    const ms = left / link;
    rounds.push({ sentBytes: left, ms });
    const last = nextStep(rounds, { tracking: 'soft-dirty' }, wish);
    if (last.step !== 'round' || rounds.length > 100) return { rounds, last };
    left = Math.min(bytes, dirty * ms);
  }
}

describe('with a kernel that tracks writes', () => {
  it('a job that writes slower than the link is sent until the rest is small', () => {
    const { rounds, last } = drive({ dirty: 30_000, link: 100_000, bytes: 1024 * mib }, anyTime);
    expect(last.step).toBe('freeze');
    expect(rounds.length).toBeLessThan(preCopyLimits.roundsMax);
    expect(last.predictedMs - anyTime.fixedMs).toBeLessThanOrEqual(preCopyLimits.restMs);
    const [before, after] = [rounds.at(-2), rounds.at(-1)];
    expect(after?.sentBytes).toBeLessThan(before?.sentBytes ?? 0);
  });

  it('a job that does not write is frozen after the round that shows it', () => {
    const { rounds, last } = drive({ dirty: 0, link: 100_000, bytes: 1024 * mib }, anyTime);
    expect(rounds).toHaveLength(2);
    expect(last).toEqual({ step: 'freeze', predictedMs: 80 });
  });

  it.each([0.8, 1, 1.5, 10])('a job that writes %d as fast as the link diverges', (part) => {
    const link = 100_000;
    const { rounds, last } = drive({ dirty: part * link, link, bytes: 1024 * mib }, anyTime);
    expect(last.step).toBe('diverges');
    expect(rounds.length).toBeLessThanOrEqual(3);
    expect(last).toMatchObject({
      why: expect.stringMatching(/^it writes .* MB\/s, and 100\.0 MB/),
    });
  });

  it('how long it may be frozen decides when the rest is small', () => {
    const job = { dirty: 50_000, link: 100_000, bytes: 1024 * mib };
    const [patient, strict] = [
      drive(job, { maxFrozenMs: 3_000, fixedMs: 80 }),
      drive(job, { maxFrozenMs: 200, fixedMs: 80 }),
    ];
    expect(patient.last.step).toBe('freeze');
    expect(strict.last.step).toBe('freeze');
    expect(patient.rounds.length).toBeLessThan(strict.rounds.length);
    expect(strict.last.predictedMs).toBeLessThanOrEqual(200);
    expect(patient.last.predictedMs).toBeLessThanOrEqual(3_000);
  });

  it('a time that is shorter than what a freeze takes anyway is never kept', () => {
    const wish = { maxFrozenMs: 50, fixedMs: 80 };
    const { last } = drive({ dirty: 30_000, link: 100_000, bytes: 1024 * mib }, wish);
    expect(last.step).toBe('diverges');
  });

  it('whatever was measured, it ends, and a freeze keeps its promise', () => {
    const round = fc.record({ sentBytes: fc.nat(2 ** 31), ms: fc.nat(100_000) });
    fc.assert(
      fc.property(
        fc.array(round, { minLength: 1, maxLength: 20 }),
        fc.option(fc.nat(10_000), { nil: undefined }),
        fc.constantFrom('soft-dirty' as const, 'digest' as const),
        (rounds, maxFrozenMs, tracking) => {
          const next = nextStep(rounds, { tracking }, { maxFrozenMs, fixedMs: 80 });
          expect(next.predictedMs).toBeGreaterThanOrEqual(80);
          if (rounds.length >= preCopyLimits.roundsMax) expect(next.step).not.toBe('round');
          if (next.step === 'freeze' && maxFrozenMs !== undefined) {
            expect(next.predictedMs).toBeLessThanOrEqual(maxFrozenMs);
          }
        },
      ),
    );
  });
});

describe('where writes are found by comparing', () => {
  const round = { sentBytes: 1024 * mib, ms: 10_000 };
  const compare = { sentBytes: mib, ms: 600 };
  const step = (rounds: readonly AheadRound[], maxFrozenMs?: number) =>
    nextStep(rounds, { tracking: 'digest' }, { maxFrozenMs, fixedMs: 80 });

  it('one round sends all, the next one shows how long a comparison takes', () => {
    expect(step([round])).toMatchObject({ step: 'round' });
    expect(step([round], 100_000)).toMatchObject({ step: 'round' });
    expect(step([round, compare])).toEqual({ step: 'freeze', predictedMs: 680 });
  });

  it.each([
    [700, 'freeze'],
    [680, 'freeze'],
    [679, 'diverges'],
    [10, 'diverges'],
  ])('within %d ms: %s', (maxFrozenMs, expected) => {
    expect(step([round, compare], maxFrozenMs)).toMatchObject({
      step: expected,
      predictedMs: 680,
    });
  });

  it('never asks for more rounds than help', () => {
    const rounds = Array<AheadRound>(preCopyLimits.comparingRoundsMax).fill(round);
    expect(step(rounds).step).toBe('freeze');
    expect(step(rounds, 100)).toMatchObject({
      step: 'diverges',
      why: expect.stringContaining('compared'),
    });
  });
});
