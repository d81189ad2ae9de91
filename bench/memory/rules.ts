import { type AheadRound, nextStep } from '../../src/migration/pre-copy.ts';

/** When others end pre-copy, and when we do: functions over rounds that were measured. */
export interface StopRule {
  readonly name: string;
  /** Why no round comes after these, or undefined if one does. */
  stops(rounds: readonly AheadRound[], memoryBytes: number): string | undefined;
}

/** Rounds of pre-copy that went on whatever any rule says. */
export interface Recording {
  readonly memoryBytes: number;
  readonly rounds: readonly AheadRound[];
}

/** What a recording would have come to by a rule. */
export interface Replay {
  readonly rule: string;
  readonly rounds: number;
  /** In those rounds. */
  readonly sentBytes: number;
  /** What the frozen job would still have to send: the next round of the recording. */
  readonly restBytes: number;
  readonly predictedMs: number;
  readonly why: string;
}

const pageBytes = 4096;
/** As migrate reckons before it has measured a move. */
const fixedMs = 80;

function ours(tracking: 'soft-dirty' | 'digest'): StopRule {
  return {
    name: `migrate, ${tracking}`,
    stops(rounds) {
      const next = nextStep(rounds, { tracking }, { maxFrozenMs: undefined, fixedMs });
      if (next.step === 'round') return undefined;
      return next.step === 'diverges' ? 'does not converge' : 'enough';
    },
  };
}

/** p_haul_iters.py: 64 pages, 10 % more than before, or the ninth round. */
const pHaul: StopRule = {
  name: 'p.haul',
  stops(rounds) {
    const [last, before] = [rounds.at(-1), rounds.at(-2)];
    if (last === undefined) return undefined;
    if (last.sentBytes <= 64 * pageBytes) return 'small';
    if (before !== undefined) {
      const added = last.sentBytes - before.sentBytes;
      if ((added * 100) / Math.max(1, before.sentBytes) > 10) return 'grows';
    }
    return rounds.length > 8 ? 'too many rounds' : undefined;
  },
};

/** migration.incremental.memory.goal 70 and .iterations 10, which are its defaults. */
const incus: StopRule = {
  name: 'Incus',
  stops(rounds, memoryBytes) {
    const last = rounds.at(-1);
    if (last === undefined) return undefined;
    const skippedPercent = Math.trunc(100 - (100 * last.sentBytes) / memoryBytes);
    if (skippedPercent > 70) return 'enough';
    return rounds.length >= 10 ? 'too many rounds' : undefined;
  },
};

export const stopRules: readonly StopRule[] = [ours('soft-dirty'), ours('digest'), pHaul, incus];

/** More rounds than any rule allows, and one that tells what would be left behind them. */
export const recordedRounds = 13;

export function replay(rule: StopRule, { memoryBytes, rounds }: Recording): Replay {
  let count = 0;
  let why: string | undefined;
  while (why === undefined && count < rounds.length) {
    count += 1;
    why = rule.stops(rounds.slice(0, count), memoryBytes);
  }
  const rest = rounds[count] ?? rounds.at(-1);
  return {
    rule: rule.name,
    rounds: count,
    sentBytes: rounds.slice(0, count).reduce((sum, { sentBytes }) => sum + sentBytes, 0),
    restBytes: rest?.sentBytes ?? 0,
    predictedMs: (rest?.ms ?? 0) + fixedMs,
    why: why ?? 'the recording ended',
  };
}
