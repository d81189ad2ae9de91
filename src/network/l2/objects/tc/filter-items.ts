import { z } from 'zod';
import { attributeBytes, nestedFlag } from '../../../netlink/attributes.ts';
import {
  type LinkNames,
  linkNameSchema,
  nameOfLink,
  type Reading,
  uint32,
  uint32Schema,
} from '../../../netlink/codec.ts';
import { compact } from '../../compact.ts';
import { l2Limits } from '../../limits.ts';
import { actionList, actionProblem, actionSchema } from './action.ts';
import { actionOptions, policeProblem, withRateTables } from './action-kinds.ts';
import { conditionsProblem, type FilterKind, filterKinds, toldFlags } from './filter-kinds.ts';
import { bytesOfHex, optionBytes } from './message.ts';
import { dropped, type Edit, edited, rawAttributes, written } from './raw-attributes.ts';
import { givenHandle } from './u32.ts';

/** One filter of a preference: what `tc filter show` calls a handle. */
export const filterItemSchema = z.strictObject({
  handle: uint32Schema,
  /** As the kernel takes them, without what is listed apart. */
  options: optionBytes.schema,
  actions: z.array(actionSchema).max(l2Limits.tcActionsMax).optional(),
  /** The options of a `police` that is no action. */
  police: optionBytes.schema.optional(),
  /** The device that packets came from, of the kind `route`. */
  link: linkNameSchema.optional(),
});
export type FilterItem = z.infer<typeof filterItemSchema>;

export function readItem(
  kind: string,
  handle: number,
  raw: Buffer,
  place: { readonly protocol: number; readonly reading: Reading },
): FilterItem {
  const { protocol, reading } = place;
  const known = filterKinds[kind];
  if (known === undefined) return { handle, options: raw.toString('hex') };
  const options = known.read?.(raw, protocol) ?? raw;
  const apart = new Map(rawAttributes(options).map(({ id, payload }) => [id, payload]));
  const actions = apart.get(known.actions);
  const police = known.police === undefined ? undefined : apart.get(known.police);
  const link = known.link === undefined ? undefined : apart.get(known.link);
  return compact({
    handle: link === undefined ? handle : (handle & userMask) >>> 0,
    options: edited(options, editsOf(known)).toString('hex'),
    actions: actions === undefined ? undefined : actionList.decode(actions, reading),
    police: police === undefined ? undefined : actionOptions('police', police).toString('hex'),
    link: link === undefined ? undefined : nameOfLink(link.readUInt32LE(0), reading.names),
  });
}

function editsOf(kind: FilterKind): Readonly<Record<number, Edit>> {
  const edits: Record<number, Edit> = {};
  const apart = [kind.actions, kind.police, kind.link, ...(kind.dropped ?? [])];
  for (const id of apart) if (id !== undefined) edits[id] = dropped;
  if (kind.flags !== undefined) {
    edits[kind.flags] = (payload) => {
      const own = payload.length < 4 ? 0 : payload.readUInt32LE(0) & ~toldFlags;
      return own === 0 ? undefined : written(payload, 4, (copy) => copy.writeUInt32LE(own));
    };
  }
  return edits;
}

/** The handle of a route filter has the number of the device in it (cls_route.c, to_hash). */
const userMask = 0xffff;
const fromLinkBit = 0x8000;

/** The handle that a request says. */
export function itemHandle(kind: string, { handle, link }: FilterItem, names: LinkNames): number {
  if (kind === 'u32') return givenHandle(handle);
  if (link === undefined) return handle;
  return (((names.indexOf(link) | fromLinkBit) << 16) | handle) >>> 0;
}

/** The payload of TCA_OPTIONS that makes it. */
export function itemOptions(kind: string, item: FilterItem, names: LinkNames): Buffer {
  const known = filterKinds[kind];
  const parts = [bytesOfHex(item.options)];
  const { actions, police, link } = item;
  if (known === undefined) return Buffer.concat(parts);
  if (link !== undefined && known.link !== undefined) {
    parts.push(attributeBytes(known.link, uint32.encode(names.indexOf(link), names)));
  }
  if (police !== undefined && known.police !== undefined) {
    parts.push(attributeBytes(known.police | nestedFlag, withRateTables(bytesOfHex(police))));
  }
  if (actions !== undefined) {
    parts.push(attributeBytes(known.actions | nestedFlag, actionList.encode(actions, names)));
  }
  return Buffer.concat(parts);
}

/** Why one cannot be made again. */
export function itemProblem(kind: string, item: FilterItem): string | undefined {
  const known = filterKinds[kind];
  if (known === undefined) return undefined;
  const options = bytesOfHex(item.options);
  const ofActions = (item.actions ?? []).map(actionProblem).find((why) => why !== undefined);
  const ofPolice = item.police === undefined ? undefined : policeProblem(bytesOfHex(item.police));
  return known.problem?.(options) ?? conditionsProblem(known, options) ?? ofActions ?? ofPolice;
}
