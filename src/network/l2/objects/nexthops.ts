import { z } from 'zod';
import { attribute, attributeSet, nested } from '../../netlink/attributes.ts';
import {
  address,
  addressSchema,
  type Codec,
  flag,
  type LinkNames,
  link,
  linkNameSchema,
  type Reading,
  uint8Schema,
  uint16,
  uint16Schema,
  uint32,
  uint32Schema,
} from '../../netlink/codec.ts';
import { knownDump } from '../../netlink/known-dump.ts';
import { compact } from '../compact.ts';
import { l2Limits } from '../limits.ts';
import type { Request, Section } from '../section.ts';
import { encapsulationData, encapsulationOf, encapsulationSchema } from './next-hops.ts';
import { familyNumber, familySchema } from './prefixes.ts';
import { routeTo } from './routes.ts';

const memberSchema = z.strictObject({ id: uint32Schema, weight: z.int().min(1).max(0x1_0000) });
type Member = z.infer<typeof memberSchema>;
const membersSchema = z.array(memberSchema).max(l2Limits.nextHopsMax);

/** NHA_RES_GROUP: timers are in hundredths of a second (clock_t). */
const resilientSet = attributeSet(
  'resilient group',
  {
    buckets: attribute(1, uint16),
    idleTimer: attribute(2, uint32),
    unbalancedTimer: attribute(3, uint32),
  },
  [4],
);

export const nexthopSchema = z.strictObject({
  /** Routes refer to it by this number. */
  id: uint32Schema,
  /** Of the gateway, or of the packets; absent for a group: its members have one. */
  family: familySchema.optional(),
  protocol: uint8Schema,
  gateway: addressSchema.optional(),
  link: linkNameSchema.optional(),
  onlink: z.literal(true).optional(),
  blackhole: z.literal(true).optional(),
  /** For forwarding tables of VXLAN devices, not for routes. */
  fdb: z.literal(true).optional(),
  members: membersSchema.optional(),
  /** NEXTHOP_GRP_TYPE_*; absent for the usual one, by hash and threshold. */
  groupType: uint16Schema.optional(),
  resilient: resilientSet.schema.optional(),
  encapsulation: encapsulationSchema.optional(),
});
export type Nexthop = z.infer<typeof nexthopSchema>;

/** An array of struct nexthop_grp: number, weight less one in 16 bits (8 before Linux 6.12). */
const members: Codec<Member[]> = {
  schema: membersSchema,
  decode: (bytes) =>
    Array.from({ length: Math.floor(bytes.length / memberBytes) }, (_, index) => {
      const at = index * memberBytes;
      const weight = bytes.readUInt8(at + 4) + (bytes.readUInt8(at + 5) << 8) + 1;
      return { id: bytes.readUInt32LE(at), weight };
    }),
  encode(all) {
    const bytes = Buffer.alloc(all.length * memberBytes);
    for (const [index, { id, weight }] of all.entries()) {
      bytes.writeUInt32LE(id, index * memberBytes);
      bytes.writeUInt16LE(weight - 1, index * memberBytes + 4);
    }
    return bytes;
  },
};

const memberBytes = 8;
const [replyFlags, statistics, hardwareStatistics, hardwareUsed] = [14, 15, 16, 17];
const attributes = attributeSet(
  'nexthop',
  {
    id: attribute(1, uint32),
    members: attribute(2, members),
    groupType: attribute(3, uint16),
    blackhole: attribute(4, flag),
    link: attribute(5, link),
    gateway: attribute(6, address),
    encapsulationType: attribute(7, uint16),
    encapsulation: attribute(8, encapsulationData),
    fdb: attribute(11, flag),
    resilient: attribute(12, nested(resilientSet)),
  },
  [replyFlags, statistics, hardwareStatistics, hardwareUsed],
);

const messages = { add: 104, remove: 105, get: 106 } as const;
/** NLM_F_CREATE and NLM_F_REPLACE: to remove one would take its routes along. */
const createFlags = 0x400 | 0x100;
const headerBytes = 8;
const onlinkBit = 4;
/** RT_TABLE_MAIN, in which nexthops are looked up. */
const mainTable = 254;

/**
 * Nexthop objects (`ip nexthop`), by their numbers. The kernel takes none whose device is down or
 * has no carrier. Which bucket of a resilient group leads where is decided anew.
 */
export const nexthops: Section<Nexthop> = {
  name: 'nexthop',
  schema: nexthopSchema,
  read(space, reading) {
    const body = Buffer.alloc(headerBytes);
    return knownDump(space, { type: messages.get, body }, 'nexthops').map((message) =>
      readNexthop(message.body, reading),
    );
  },
  add: (one, names) => [request(createFlags, one, names)],
  remove: ({ id }, names) => [
    {
      type: messages.remove,
      body: Buffer.concat([Buffer.alloc(headerBytes), attributes.encode({ id }, names)]),
    },
  ],
  makeWay: ({ gateway, link: dev }, names) =>
    routeTo({ gateway, link: dev, table: mainTable }, names),
  describe: describeNexthop,
  before: (one, other) => Number(one.members !== undefined) - Number(other.members !== undefined),
};

function describeNexthop({ id, gateway, link: dev, members: group, blackhole }: Nexthop): string {
  return [
    `id ${id}`,
    ...(gateway === undefined ? [] : [`via ${gateway}`]),
    ...(dev === undefined ? [] : [`dev ${dev}`]),
    ...(blackhole === undefined ? [] : ['blackhole']),
    ...(group === undefined ? [] : [`group ${group.map((one) => one.id).join('/')}`]),
  ].join(' ');
}

const families: Readonly<Record<number, 4 | 6>> = { 2: 4, 10: 6 };

function readNexthop(bytes: Buffer, reading: Reading): Nexthop {
  const raw = attributes.decode(bytes.subarray(headerBytes), reading);
  return compact({
    id: raw.id ?? 0,
    family: families[bytes.readUInt8(0)],
    protocol: bytes.readUInt8(2),
    gateway: raw.gateway,
    link: raw.link,
    onlink: (bytes.readUInt32LE(4) & onlinkBit) === 0 ? undefined : (true as const),
    blackhole: raw.blackhole,
    fdb: raw.fdb,
    members: raw.members,
    groupType: raw.groupType === 0 ? undefined : raw.groupType,
    resilient: raw.resilient,
    encapsulation: encapsulationOf(raw.encapsulationType, raw.encapsulation),
  });
}

function request(flags: number, one: Nexthop, names: LinkNames): Request {
  const { family, protocol, onlink, encapsulation, ...rest } = one;
  const header = Buffer.alloc(headerBytes);
  header.set([family === undefined ? 0 : familyNumber(family), 0, protocol]);
  header.writeUInt32LE(onlink === true ? onlinkBit : 0, 4);
  const body = attributes.encode(
    { ...rest, encapsulationType: encapsulation?.type, encapsulation: encapsulation?.data },
    names,
  );
  return { type: messages.add, flags, body: Buffer.concat([header, body]) };
}
