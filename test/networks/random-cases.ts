import fc from 'fast-check';
import { linesOf, plans } from './grammar.ts';
import type { GuestCase } from './guest.ts';

/** The cases of a seed from `first` on: the same ones, however many are asked for at a time. */
export function randomCases(
  seed: number,
  range: { readonly first: number; readonly count: number },
  features: ReadonlySet<string>,
): GuestCase[] {
  const { first, count } = range;
  const all = fc.sample(plans(), { numRuns: first + count, seed });
  return all
    .slice(first)
    .map((plan, at) => ({ name: `c${first + at}`, lines: linesOf(plan, features) }));
}
