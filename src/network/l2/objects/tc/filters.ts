import { attributeBytes, nestedFlag } from '../../../netlink/attributes.ts';
import type { LinkNames } from '../../../netlink/codec.ts';
import type { Request, Section } from '../../section.ts';
import {
  type Chain,
  type Filter,
  filterAttributes,
  filterMessages,
  filterProblem,
  filterSchema,
  infoOf,
  type Preference,
} from './filter.ts';
import { itemHandle, itemOptions } from './filter-items.ts';
import { filterKinds } from './filter-kinds.ts';
import { readFilters } from './filter-read.ts';
import { bytesOfHex, hookHeader } from './message.ts';

/** NLM_F_CREATE and NLM_F_EXCL. */
const createFlags = 0x400 | 0x200;
const optionsAttribute = 2;

/**
 * Filters, a preference of a chain being one object: it has one kind, and is made and taken away
 * as a whole. Chains are listed where they are empty or have a template.
 */
export const filters: Section<Filter> = {
  name: 'tc',
  schema: filterSchema,
  read: readFilters,
  add: (one, names) => (one.type === 'chain' ? [addChain(one, names)] : addFilters(one, names)),
  remove: (one, names) => [removeRequest(one, names)],
  describe: describeFilter,
  problem: filterProblem,
};

function describeFilter(one: Filter): string {
  const { link, parent, block, chain } = one;
  return [
    one.type === 'filter' ? `filter ${one.kind} pref ${one.preference}` : 'filter chain',
    ...(block === undefined ? [`dev ${link} parent ${parent}`] : [`block ${block}`]),
    ...(chain === 0 ? [] : [`chain ${chain}`]),
  ].join(' ');
}

function addChain(one: Chain, names: LinkNames): Request {
  const { kind, chain, options } = one;
  const body = [hookHeader(one, 0, 0, names), filterAttributes.encode({ kind, chain }, names)];
  if (options !== undefined) body.push(nest(bytesOfHex(options)));
  return { type: filterMessages.chain.add, flags: createFlags, body: Buffer.concat(body) };
}

/** A preference without filters is made by a request without options (`tc filter add ... fw`). */
function addFilters(one: Preference, names: LinkNames): Request[] {
  const first = filterKinds[one.kind]?.placed === 'first';
  const items = first ? [...one.items].reverse() : one.items;
  if (items.length === 0) return [addFilter(one, 0, [], names)];
  return items.map((item) => {
    const handle = itemHandle(one.kind, item, names);
    return addFilter(one, handle, [nest(itemOptions(one.kind, item, names))], names);
  });
}

function addFilter(
  one: Preference,
  handle: number,
  options: readonly Buffer[],
  names: LinkNames,
): Request {
  const { kind, chain } = one;
  const header = hookHeader(one, handle, infoOf(one), names);
  const own = filterAttributes.encode({ kind, chain: chain === 0 ? undefined : chain }, names);
  const body = Buffer.concat([header, own, ...options]);
  return { type: filterMessages.filter.add, flags: createFlags, body };
}

function removeRequest(one: Filter, names: LinkNames): Request {
  const info = one.type === 'filter' ? infoOf(one) : 0;
  const { chain } = one;
  const own = filterAttributes.encode({ chain }, names);
  const body = Buffer.concat([hookHeader(one, 0, info, names), own]);
  return { type: filterMessages[one.type].remove, body };
}

function nest(options: Buffer): Buffer {
  return attributeBytes(optionsAttribute | nestedFlag, options);
}
