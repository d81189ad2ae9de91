import { z } from 'zod';

/** AF_BRIDGE (PF_BRIDGE): bridges, their VLANs, their tables. */
export const bridgeFamily = 7;

/** 0 and 4095 mean something else on the wire (IEEE 802.1Q). */
export const vlanIdSchema = z.int().min(1).max(4_094);

/** VLANs from `first` to `last`, both included. */
export interface VlanRange {
  readonly first: number;
  readonly last: number;
}

/**
 * Ranges of one list that touch and are alike, as one: kernels and versions of them cut
 * differently. Ranges that belong together must stand one after the other.
 */
export function joinRanges<T extends VlanRange>(
  ranges: readonly T[],
  isMore: (one: T, next: T) => boolean,
): T[] {
  const joined: T[] = [];
  for (const next of ranges) {
    const one = joined.at(-1);
    if (one !== undefined && one.last + 1 === next.first && isMore(one, next)) {
      joined[joined.length - 1] = { ...one, last: next.last };
    } else joined.push(next);
  }
  return joined;
}

export function vlanRangeText({ first, last }: VlanRange): string {
  return first === last ? `${first}` : `${first}-${last}`;
}
