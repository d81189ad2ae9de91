import type { MemoryPlan } from './choose-mode.ts';

/** What one round of pre-copy came to. */
export interface AheadRound {
  readonly sentBytes: number;
  readonly ms: number;
}

/** What comes after a round: one more, the freeze, or the news that more rounds would not help. */
export type NextStep =
  | { readonly step: 'round'; readonly predictedMs: number }
  | { readonly step: 'freeze'; readonly predictedMs: number }
  | { readonly step: 'diverges'; readonly predictedMs: number; readonly why: string };

export const preCopyLimits = {
  /** More rounds than these send what has been sent for ever. */
  roundsMax: 12,
  /** A round that sends more than this part of the one before has not helped. */
  shrinkMin: 0.7,
  /** So little is sent in the time that a round needs to begin, whatever the rounds took. */
  restBytes: 1024 * 1024,
  /** Without --max-frozen: sending what is left may take as long as a small job's move. */
  restMs: 50,
  /** Comparing everything once more shrinks the rest only by what one pass takes to read. */
  comparingRoundsMax: 2,
} as const;

/**
 * Decides by what was measured. A job that writes as fast as in the round before dirties, during a
 * round, as many bytes as that round had to send for each millisecond of the one before it; this
 * is what a freeze now would have to send, at the bandwidth of the last round. `fixedMs` is what a
 * frozen time has besides memory.
 */
export function nextStep(
  rounds: readonly AheadRound[],
  plan: Pick<MemoryPlan, 'tracking'>,
  wish: { readonly maxFrozenMs: number | undefined; readonly fixedMs: number },
): NextStep {
  const restMs = predictRest(rounds, plan.tracking);
  const predictedMs = Math.round(restMs + wish.fixedMs);
  const enoughMs = wish.maxFrozenMs === undefined ? undefined : wish.maxFrozenMs - wish.fixedMs;
  const isLittle = (rounds.at(-1)?.sentBytes ?? 0) <= preCopyLimits.restBytes;
  const isEnough = restMs <= (enoughMs ?? preCopyLimits.restMs);
  if (
    rounds.length > 1 &&
    (isEnough || (isLittle && enoughMs === undefined && plan.tracking !== 'digest'))
  ) {
    return { step: 'freeze', predictedMs };
  }
  if (plan.tracking === 'digest' && rounds.length >= preCopyLimits.comparingRoundsMax) {
    if (enoughMs === undefined) return { step: 'freeze', predictedMs };
    return {
      step: 'diverges',
      predictedMs,
      why: 'the whole memory is compared while it is frozen',
    };
  }
  const [last, before] = [rounds.at(-1), rounds.at(-2)];
  const hasShrunk =
    last === undefined ||
    before === undefined ||
    last.sentBytes < before.sentBytes * preCopyLimits.shrinkMin;
  if (rounds.length < preCopyLimits.roundsMax && hasShrunk) return { step: 'round', predictedMs };
  const dirty = (last?.sentBytes ?? 0) / Math.max(1, before?.ms ?? 1);
  const link = (last?.sentBytes ?? 0) / Math.max(1, last?.ms ?? 1);
  const why = `it writes ${rate(dirty)}, and ${rate(link)} can be sent`;
  return { step: 'diverges', predictedMs, why };
}

function predictRest(rounds: readonly AheadRound[], tracking: MemoryPlan['tracking']): number {
  const [last, before] = [rounds.at(-1), rounds.at(-2)];
  if (last === undefined) return Number.POSITIVE_INFINITY;
  // After the first round alone nothing is known of how fast the job writes: as fast as the link.
  if (before === undefined) return last.ms;
  // All is compared once more, as it was in the last round.
  if (tracking === 'digest') return last.ms;
  const dirtiedBytes = (last.sentBytes / Math.max(1, before.ms)) * last.ms;
  return dirtiedBytes / Math.max(1, last.sentBytes / Math.max(1, last.ms));
}

function rate(bytesPerMs: number): string {
  return `${(bytesPerMs / 1000).toFixed(1)} MB/s`;
}
