/** Chooses by numbers that were rolled before: the same numbers, the same choices. */
export interface Dice {
  /** A whole number from 0 to `max` - 1. */
  below(max: number): number;
  pick<T>(list: readonly T[]): T;
  /** True once in `oneIn` times. */
  maybe(oneIn: number): boolean;
  /** Each of the phrases once in `oneIn` times, as one text; each begins with a space. */
  some(phrases: readonly string[], oneIn?: number): string;
}

const usualOneIn = 3;

/** Zeros choose what is plainest, so that smaller numbers make simpler things; they may run out. */
export function diceOf(numbers: readonly number[]): Dice {
  let at = 0;
  const next = () => numbers[at++] ?? 0;
  const dice: Dice = {
    below: (max) => next() % max,
    pick(list) {
      if (list.length === 0) throw new Error('there is nothing to choose from');
      return list[next() % list.length] as never;
    },
    maybe: (oneIn) => next() % oneIn === oneIn - 1,
    some(phrases, oneIn = usualOneIn) {
      return phrases.map((phrase) => (dice.maybe(oneIn) ? ` ${phrase}` : '')).join('');
    },
  };
  return dice;
}
