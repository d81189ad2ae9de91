import type { z } from 'zod';
import type { NetlinkRequest } from '../../host/netlink.ts';
import type { LinkNames, Reading } from '../netlink/codec.ts';
import type { NetlinkSpace } from '../netlink/space.ts';
import { canonical } from './compact.ts';

/**
 * One kind of object of a namespace: how it stands in the document, how it is read, how one is made
 * and taken away. What is captured, built, compared and told to a person follows from these.
 */
export interface Section<T> {
  /** What a person calls one: `route`, `bridge VLAN`. */
  readonly name: string;
  readonly schema: z.ZodType<T>;
  /** All of them, in the kernel's order. Attributes that are not known go into `reading`. */
  read(space: NetlinkSpace, reading: Reading): T[];
  /** The requests that make one. */
  add(one: T, names: LinkNames): readonly Request[];
  /** The requests that take one away. */
  remove(one: T, names: LinkNames): readonly Request[];
  /**
   * What has to be there at the moment in which a refused one is made, and need not stay: the next
   * reading finds that nobody wants it.
   */
  makeWay?(one: T, names: LinkNames): readonly Request[];
  /** Does what no netlink message can, instead of `add` and `remove`. Throws KERNEL. */
  readonly direct?: {
    add(space: NetlinkSpace, one: T): void;
    remove(space: NetlinkSpace, one: T): void;
  };
  /** The object in the words of ip(8) and its like. */
  describe(one: T): string;
  /** What decides whether two are equal; without it, all of them. */
  compared?(one: T): unknown;
  /**
   * Objects of one group stand in an order that means something; absent when none does.
   * `newest-first` where the kernel puts a new one in front of its group.
   */
  readonly order?: { groupOf(one: T): string; readonly placed: 'last' | 'first' };
  /** Why one cannot be made again, in words that follow its description; the plan refuses. */
  problem?(one: T): string | undefined;
  /** What of one cannot be known, though it can be made. */
  warning?(one: T): string | undefined;
  /** What else has to go so that a plan can be carried out; the next round makes it again. */
  widened?(plan: SectionPlan<T>, found: readonly T[]): SectionPlan<T>;
  /** Sorts what is to be made where one needs another. */
  before?(one: T, other: T): number;
}

/** A request and the family of its socket; `route` unless said. */
export interface Request extends NetlinkRequest {
  readonly family?: 'route' | 'netfilter' | 'generic';
}

/** What it takes to turn what was found into what is wanted, as data. */
export interface SectionPlan<T> {
  /** To be taken away, in this order, before anything is made. */
  readonly remove: readonly T[];
  readonly add: readonly T[];
}

/** Compares two lists of a section; both empty when nothing is to be done. Pure. */
export function planSection<T>(
  section: Section<T>,
  wanted: readonly T[],
  found: readonly T[],
): SectionPlan<T> {
  const { remove, add } =
    section.order === undefined
      ? planSet(section, wanted, found)
      : planGroups(section, wanted, found);
  return { remove, add: inOrder(section, add) };
}

/**
 * Sorts what is to be made. A group whose order counts stays together, where the last one of it
 * would stand: one of its objects that comes too early is refused, and made in the next round.
 */
function inOrder<T>(section: Section<T>, add: readonly (readonly T[])[]): T[] {
  const { before } = section;
  if (before === undefined) return add.flat();
  const last = (group: readonly T[]) => group.reduce((a, b) => (before(a, b) < 0 ? b : a));
  return add
    .map((group) => ({ group, place: last(group) }))
    .sort((a, b) => before(a.place, b.place))
    .flatMap(({ group }) => group);
}

/** One text for equal objects, whatever the order of their fields. */
export function keyOf<T>(section: Section<T>, one: T): string {
  return canonical(section.compared === undefined ? one : section.compared(one));
}

function planSet<T>(section: Section<T>, wanted: readonly T[], found: readonly T[]) {
  const left = new Map<string, T[]>();
  for (const one of found) {
    const key = keyOf(section, one);
    left.set(key, [...(left.get(key) ?? []), one]);
  }
  const add = wanted.filter((one) => left.get(keyOf(section, one))?.pop() === undefined);
  // What was made last goes first: it may stand on the others.
  return { remove: [...left.values()].flat().reverse(), add: add.map((one) => [one]) };
}

/**
 * In a group whose order counts, what stands before the first difference stays; the rest is made
 * anew. Where new ones go to the front, that is read from the back.
 */
function planGroups<T>(section: Section<T>, wanted: readonly T[], found: readonly T[]) {
  const remove: T[] = [];
  const add: T[][] = [];
  const isFirst = section.order?.placed === 'first';
  const [wantedGroups, foundGroups] = [groups(section, wanted), groups(section, found)];
  for (const name of new Set([...foundGroups.keys(), ...wantedGroups.keys()])) {
    const want = [...(wantedGroups.get(name) ?? [])];
    const have = [...(foundGroups.get(name) ?? [])];
    if (isFirst) for (const list of [want, have]) list.reverse();
    let same = 0;
    while (same < want.length && same < have.length) {
      if (keyOf(section, want[same] as T) !== keyOf(section, have[same] as T)) break;
      same += 1;
    }
    remove.push(...have.slice(same).reverse());
    if (same < want.length) add.push(want.slice(same));
  }
  return { remove, add };
}

function groups<T>(section: Section<T>, all: readonly T[]): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const one of all) {
    const name = section.order?.groupOf(one) ?? '';
    const group = found.get(name);
    if (group === undefined) found.set(name, [one]);
    else group.push(one);
  }
  return found;
}
