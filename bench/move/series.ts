import type { Conditions } from './conditions.ts';
import type { ContenderName, Sample } from './contender.ts';

/** The moves of one contender and size. */
export interface Series {
  readonly mib: number;
  readonly contender: ContenderName;
  readonly samples: Sample[];
}

export interface MoveReport {
  readonly runs: number;
  readonly warmUp: number;
  readonly conditions: Conditions;
  readonly series: readonly Series[];
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

export function frozenMedian({ samples }: Series): number {
  return median(samples.map(({ frozenMs }) => frozenMs));
}

/** The series of another contender of the same size. */
export function beside(
  all: readonly Series[],
  mib: number,
  contender: ContenderName,
): Series | undefined {
  return all.find((other) => other.mib === mib && other.contender === contender);
}

/** Medians of the parts, in the order in which they first came. */
export function partMedians({ samples }: Series): Map<string, number> {
  const values = new Map<string, number[]>();
  for (const { name, ms } of samples.flatMap(({ parts }) => parts)) {
    values.set(name, [...(values.get(name) ?? []), ms]);
  }
  return new Map([...values].map(([name, list]) => [name, median(list)]));
}
