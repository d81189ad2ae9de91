import { z } from 'zod';
import { attribute, attributeSet } from '../../../netlink/attributes.ts';
import {
  linkNameSchema,
  text,
  uint16Schema,
  uint32,
  uint32Schema,
} from '../../../netlink/codec.ts';
import { l2Limits } from '../../limits.ts';
import { filterItemSchema, itemProblem } from './filter-items.ts';
import { filterKinds } from './filter-kinds.ts';
import { blockSchema, handleSchema, kindSchema, optionBytes } from './message.ts';

const place = {
  /** A device and the qdisc or class of it, or else a block that several devices share. */
  link: linkNameSchema.optional(),
  parent: handleSchema.optional(),
  block: blockSchema.optional(),
  chain: uint32Schema,
};

const plainSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('chain'),
    ...place,
    /** What its filters must look like, of the kind `flower`. */
    kind: kindSchema.optional(),
    options: optionBytes.schema.optional(),
  }),
  z.strictObject({
    type: z.literal('filter'),
    ...place,
    preference: uint16Schema.min(1),
    /** ETH_P_*, 3 for all. */
    protocol: uint16Schema,
    kind: kindSchema,
    /** All of that preference, in the order in which they are asked. */
    items: z.array(filterItemSchema).max(l2Limits.tcItemsMax),
  }),
]);
export const filterSchema = plainSchema.refine(
  (one) => filterProblem(one) === undefined,
  'a filter that nothing makes',
);
export type Filter = z.infer<typeof filterSchema>;
/** All filters of a chain that have one preference. */
export type Preference = Extract<Filter, { type: 'filter' }>;
export type Chain = Extract<Filter, { type: 'chain' }>;

export const filterAttributes = attributeSet(
  'filter',
  {
    kind: attribute(1, text(kindSchema)),
    options: attribute(2, optionBytes),
    chain: attribute(11, uint32),
  },
  [3, 4, 7, 9],
);

export const filterMessages = {
  filter: { add: 44, remove: 45, get: 46 },
  chain: { add: 100, remove: 101, get: 102 },
} as const;

/** The preference, and the protocol in network order: tcm_info. */
export function infoOf({ preference, protocol }: Preference): number {
  return (preference * 0x1_0000 + swapped(protocol)) >>> 0;
}

export function fromInfo(info: number): { preference: number; protocol: number } {
  return { preference: info >>> 16, protocol: swapped(info & 0xffff) };
}

function swapped(value: number): number {
  return ((value & 0xff) << 8) | (value >>> 8);
}

/** Why a filter cannot be made again; a document that has one is refused. */
export function filterProblem(one: z.infer<typeof plainSchema>): string | undefined {
  if (one.type === 'chain') return undefined;
  if (filterKinds[one.kind] === undefined) {
    return 'this version does not know how to make one again';
  }
  return one.items.map((item) => itemProblem(one.kind, item)).find((why) => why !== undefined);
}
