import type { NetlinkMessage } from '../../../../host/netlink.ts';
import type { Reading } from '../../../netlink/codec.ts';
import type { NetlinkSpace } from '../../../netlink/space.ts';
import { compact } from '../../compact.ts';
import {
  type Chain,
  type Filter,
  filterAttributes,
  filterMessages,
  fromInfo,
  type Preference,
} from './filter.ts';
import { type FilterItem, readItem } from './filter-items.ts';
import { filterKinds } from './filter-kinds.ts';
import { filterHooks } from './hooks.ts';
import { bytesOfHex, type FilterHook, hookHeader, readHeader, tcHeaderBytes } from './message.ts';
import { withoutRoots } from './u32-roots.ts';

/** All filters and chains of a namespace; those of u32 in a form that any kernel can be given. */
export function readFilters(space: NetlinkSpace, reading: Reading): Filter[] {
  const hooks = filterHooks(space, reading);
  const [answers, chainAnswers] = (['filter', 'chain'] as const).map((type) => {
    const requests = hooks.map((hook) => ({
      type: filterMessages[type].get,
      body: hookHeader(hook, 0, 0, reading.names),
    }));
    return space.socket('route').dumpEach(requests, (at) => `${type}s at ${named(hooks[at])}`);
  });
  const found = hooks.map((hook, at) => {
    const filters = filtersAt(hook, answers?.[at] ?? [], reading);
    return { filters, chains: chainsAt(hook, filters, chainAnswers?.[at] ?? [], reading) };
  });
  const filters = withoutRoots(
    found.flatMap((one) => one.filters),
    space,
  );
  return [...found.flatMap((one) => one.chains), ...filters];
}

function filtersAt(
  hook: FilterHook,
  answers: readonly NetlinkMessage[],
  reading: Reading,
): Preference[] {
  const found = new Map<string, Preference & { readonly items: FilterItem[] }>();
  for (const { body: bytes } of answers) {
    const { handle, info } = readHeader(bytes);
    const raw = filterAttributes.decode(bytes.subarray(tcHeaderBytes), reading);
    const { kind = '', chain = 0, options } = raw;
    const { preference, protocol } = fromInfo(info);
    const key = `${chain} ${preference}`;
    const one = found.get(key) ?? {
      ...compact({ type: 'filter' as const, ...hook, chain }),
      ...{ preference, protocol, kind, items: [] },
    };
    found.set(key, one);
    if (options === undefined) continue;
    one.items.push(readItem(kind, handle, bytesOfHex(options), { protocol, reading }));
  }
  return [...found.values()]
    .map((one) => ({ ...one, items: inOrder(one) }))
    .sort((a, b) => a.chain - b.chain || a.preference - b.preference);
}

function named(hook: FilterHook | undefined): string {
  const { link, parent, block } = hook ?? {};
  return block === undefined ? `dev ${link} parent ${parent}` : `block ${block}`;
}

/** Where the order of those of one preference means nothing, it is that of their handles. */
function inOrder({ kind, items }: Preference): FilterItem[] {
  if (kind === 'u32' || filterKinds[kind]?.placed !== 'by handle') return items;
  return [...items].sort((a, b) => a.handle - b.handle);
}

function chainsAt(
  hook: FilterHook,
  filters: readonly Preference[],
  answers: readonly NetlinkMessage[],
  reading: Reading,
): Chain[] {
  return answers.flatMap(({ body: bytes }): Chain[] => {
    const raw = filterAttributes.decode(bytes.subarray(tcHeaderBytes), reading);
    const { chain = 0, kind, options } = raw;
    // The first chain is there whenever there is a filter, and any other that has one.
    const isMade = chain !== 0 && filters.every((one) => one.chain !== chain);
    if (kind === undefined && !isMade) return [];
    return [compact({ type: 'chain', ...hook, chain, kind, options })];
  });
}
