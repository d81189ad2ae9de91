import { MigrateError } from '../../../../base/errors.ts';
import type { NetlinkSpace } from '../../../netlink/space.ts';
import { filterAttributes, filterMessages, infoOf, type Preference } from './filter.ts';
import { hookHeader, majorOf, readHeader } from './message.ts';
import { oldestTable, placed, rootTable, tablesOf } from './u32.ts';

/**
 * Filters of the kind u32 without the numbers of the kernel's own tables. All filters of a qdisc,
 * and all of a shared block, have their tables in common; where two of them have the same
 * preference, in two chains or at two classes, the kernel prints the tables of both with each
 * (cls_u32.c, u32_walk), so it is asked which of them begins which.
 */
export function withoutRoots(all: readonly Preference[], space: NetlinkSpace): Preference[] {
  const groups = new Map<string, Preference[]>();
  for (const one of all) {
    if (one.kind === 'u32') groups.set(groupOf(one), [...(groups.get(groupOf(one)) ?? []), one]);
  }
  const mended = new Map([...groups.values()].flatMap((group) => mendedGroup(group, space)));
  return all.map((one) => mended.get(one) ?? one);
}

function groupOf({ link, parent = '', block, preference }: Preference): string {
  return `${block === undefined ? `${link} ${majorOf(parent)}` : block} ${preference}`;
}

function mendedGroup(
  group: readonly Preference[],
  space: NetlinkSpace,
): (readonly [Preference, Preference])[] {
  const roots = group.map((one) =>
    group.length === 1 ? oldestTable(one.items) : askRoot(one, space),
  );
  return group.map((one, at) => {
    const others = new Set(roots.filter((root) => root !== undefined && root !== roots[at]));
    // Tables that somebody made are told of the first: which one made them makes no difference.
    if (at > 0) for (const table of tablesOf(one.items)) others.add(table);
    others.delete(roots[at]);
    return [one, { ...one, items: placed(one.items, roots[at], others as Set<number>) }] as const;
  });
}

function askRoot(one: Preference, space: NetlinkSpace): number {
  const header = hookHeader(one, rootTable, infoOf(one), space.names);
  const body = [header, filterAttributes.encode({ chain: one.chain }, space.names)];
  const request = { type: filterMessages.filter.get, body: Buffer.concat(body) };
  const [answer] = space.socket('route').send([request]);
  const reply = answer?.replies[0];
  if (reply !== undefined) return readHeader(reply.body).handle;
  const why = answer?.reason ?? answer?.error ?? 'no answer';
  throw new MigrateError('KERNEL', `u32 filters of preference ${one.preference}: ${why}`);
}
