import { z } from 'zod';
import {
  attribute,
  attributeBytes,
  attributeSet,
  forEachAttribute,
  nested,
  nestedFlag,
} from '../../netlink/attributes.ts';
import {
  type Codec,
  type LinkNames,
  linkNameSchema,
  nameOfLink,
  type Reading,
  uint8,
  uint8Schema,
  uint16,
  uint32,
  uint32Schema,
} from '../../netlink/codec.ts';
import { knownDump } from '../../netlink/known-dump.ts';
import { compact } from '../compact.ts';
import type { Request, Section } from '../section.ts';
import {
  bridgeFamily,
  joinRanges,
  type VlanRange,
  vlanIdSchema,
  vlanRangeText,
} from './vlan-ranges.ts';

export const bridgeVlanSchema = z
  .strictObject({
    /** A port of a bridge, or the bridge itself for what its own device takes part in. */
    link: linkNameSchema,
    first: vlanIdSchema,
    last: vlanIdSchema,
    pvid: z.literal(true).optional(),
    untagged: z.literal(true).optional(),
    /** The tunnel id of the first VLAN; each following one has the next. */
    tunnel: uint32Schema.optional(),
    /** BR_STATE_* of include/uapi/linux/if_bridge.h; absent when it forwards. */
    state: uint8Schema.optional(),
    /** MDB_RTR_TYPE_*; absent when queries decide. */
    multicastRouter: uint8Schema.optional(),
    multicastGroupsMax: uint32Schema.optional(),
    suppressNeighbours: z.literal(true).optional(),
  })
  .refine(({ first, last }) => first <= last, 'a range of VLANs that ends before it begins');
export type BridgeVlan = z.infer<typeof bridgeVlanSchema>;

/** struct bridge_vlan_info: flags, then the number. */
const info: Codec<{ flags: number; id: number }> = {
  schema: z.strictObject({ flags: z.int(), id: z.int() }),
  decode: (bytes) => ({ flags: bytes.readUInt16LE(0), id: bytes.readUInt16LE(2) }),
  encode({ flags, id }) {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt16LE(flags, 0);
    bytes.writeUInt16LE(id, 2);
    return bytes;
  },
};

const tunnelInfo = attributeSet('bridge VLAN tunnel', {
  id: attribute(1, uint32),
  command: attribute(2, uint32),
});

const [statistics, groupsNumber] = [5, 7];
const entry = attributeSet(
  'bridge VLAN',
  {
    info: attribute(1, info),
    last: attribute(2, uint16),
    state: attribute(3, uint8),
    tunnel: attribute(4, nested(tunnelInfo)),
    multicastRouter: attribute(6, uint8),
    multicastGroupsMax: attribute(8, uint32),
    suppressNeighbours: attribute(9, uint8),
  },
  [statistics, groupsNumber],
);

const messages = { add: 112, remove: 113, get: 114, setLink: 19 } as const;
const headerBytes = 8;
const entryAttribute = 1;
const bits = { pvid: 2, untagged: 4 } as const;
/** What a new VLAN has: BR_STATE_FORWARDING, MDB_RTR_TYPE_TEMP_QUERY. */
const usual = { state: 3, multicastRouter: 1 } as const;

/**
 * VLANs of bridges and their ports, neighbours that are alike as one range: 4,094 of them are one
 * object and one request (RTM_NEWVLAN, since Linux 5.6). The one that the kernel gives to each new
 * port is among them.
 */
export const bridgeVlans: Section<BridgeVlan> = {
  name: 'bridge VLAN',
  schema: bridgeVlanSchema,
  read(space, reading) {
    const body = Buffer.alloc(headerBytes);
    body.writeUInt8(bridgeFamily, 0);
    const found = knownDump(space, { type: messages.get, body }, 'bridge VLANs');
    const all = found.flatMap((message) => readPort(message.body, reading));
    return joinRanges(all, follows);
  },
  add: (one, names) => [request(messages.add, one, names)],
  remove: ({ link, first, last }, names) => [
    request(messages.remove, { link, first, last }, names),
  ],
  describe: (one) => `vlan ${vlanRangeText(one)} dev ${one.link}`,
};

/** Whether a range goes on in the next one: tunnel ids count on with the VLANs. */
function follows({ tunnel, ...one }: BridgeVlan, next: BridgeVlan): boolean {
  if (one.pvid !== undefined || next.pvid !== undefined) return false;
  const expected = tunnel === undefined ? undefined : tunnel + one.last - one.first + 1;
  const alike: BridgeVlan = compact({
    ...one,
    tunnel: expected,
    first: next.first,
    last: next.last,
  });
  return Object.keys({ ...alike, ...next }).every((key) => {
    const field = key as keyof BridgeVlan;
    return alike[field] === next[field];
  });
}

function readPort(bytes: Buffer, reading: Reading): BridgeVlan[] {
  const link = nameOfLink(bytes.readUInt32LE(4), reading.names);
  const found: BridgeVlan[] = [];
  forEachAttribute(bytes.subarray(headerBytes), (id, payload) => {
    if (id === entryAttribute) found.push(readRange(link, entry.decode(payload, reading)));
  });
  return found;
}

function readRange(link: string, raw: ReturnType<typeof entry.decode>): BridgeVlan {
  const { flags = 0, id = 0 } = raw.info ?? {};
  const has = (bit: number) => ((flags & bit) === 0 ? undefined : (true as const));
  return compact({
    link,
    first: id,
    last: raw.last ?? id,
    pvid: has(bits.pvid),
    untagged: has(bits.untagged),
    tunnel: raw.tunnel?.id,
    state: raw.state === usual.state ? undefined : raw.state,
    multicastRouter:
      raw.multicastRouter === usual.multicastRouter ? undefined : raw.multicastRouter,
    multicastGroupsMax: raw.multicastGroupsMax === 0 ? undefined : raw.multicastGroupsMax,
    suppressNeighbours: raw.suppressNeighbours === 1 ? (true as const) : undefined,
  });
}

function request(type: number, one: BridgeVlan & VlanRange, names: LinkNames): Request {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt8(bridgeFamily, 0);
  header.writeUInt32LE(names.indexOf(one.link), 4);
  const flags = (one.pvid ? bits.pvid : 0) | (one.untagged ? bits.untagged : 0);
  const nest = entry.encode(
    {
      info: { flags, id: one.first },
      last: one.last === one.first ? undefined : one.last,
      state: one.state,
      tunnel: one.tunnel === undefined ? undefined : { id: one.tunnel, command: messages.setLink },
      multicastRouter: one.multicastRouter,
      multicastGroupsMax: one.multicastGroupsMax,
      suppressNeighbours: one.suppressNeighbours ? 1 : undefined,
    },
    names,
  );
  return { type, body: Buffer.concat([header, attributeBytes(entryAttribute | nestedFlag, nest)]) };
}
