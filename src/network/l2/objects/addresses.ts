import { z } from 'zod';
import { attribute, attributeSet } from '../../netlink/attributes.ts';
import {
  address,
  addressSchema,
  type Codec,
  type LinkNames,
  linkNameSchema,
  nameOfLink,
  type Reading,
  text,
  uint8,
  uint8Schema,
  uint32,
  uint32Schema,
} from '../../netlink/codec.ts';
import type { NetlinkSpace } from '../../netlink/space.ts';
import { compact } from '../compact.ts';
import type { Request, Section } from '../section.ts';
import { familyNumber, familySchema, hostLength } from './prefixes.ts';

/** Seconds an address is still preferred and valid (struct ifa_cacheinfo). */
interface Lifetimes {
  readonly preferred: number;
  readonly valid: number;
}

const lifetimesSchema = z.strictObject({ preferred: uint32Schema, valid: uint32Schema });

export const addressEntrySchema = z
  .strictObject({
    link: linkNameSchema,
    family: familySchema,
    address: addressSchema,
    prefixLength: z.int().min(0).max(128),
    peer: addressSchema.optional(),
    broadcast: addressSchema.optional(),
    anycast: addressSchema.optional(),
    scope: uint8Schema,
    label: z
      .string()
      .regex(/^[A-Za-z0-9_.@+:-]{1,15}$/)
      .optional(),
    /** Of the route that the kernel makes to the address's subnet. */
    metric: uint32Schema.optional(),
    /** Who made it, as RTPROT_* of addresses (IFAPROT_*). */
    protocol: uint8Schema.optional(),
    noPrefixRoute: z.literal(true).optional(),
    /** Of IPv6: made from a router's prefix for privacy. The kernel alone can say so of one. */
    temporary: z.literal(true).optional(),
    manageTemporary: z.literal(true).optional(),
    /** Made from a secret; said by the kernel alone. */
    stablePrivacy: z.literal(true).optional(),
    /** Another host has it: it is looked for again, where others are taken as they are. */
    duplicate: z.literal(true).optional(),
    home: z.literal(true).optional(),
    /** The device joins the multicast group that the address is. */
    autoJoin: z.literal(true).optional(),
    /** Absent when it stays forever. */
    lifetimes: lifetimesSchema.optional(),
  })
  .refine((one) => hostLength(one.address) === hostLength(one.family), 'address of another family')
  .refine((one) => one.prefixLength <= hostLength(one.family), 'prefix too long');
export type Address = z.infer<typeof addressEntrySchema>;

const forever = 0xffff_ffff;

const cacheInfo: Codec<Lifetimes> = {
  schema: lifetimesSchema,
  decode: (bytes) => ({ preferred: bytes.readUInt32LE(0), valid: bytes.readUInt32LE(4) }),
  encode({ preferred, valid }) {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt32LE(preferred, 0);
    bytes.writeUInt32LE(valid, 4);
    return bytes;
  },
};

const attributes = attributeSet('address', {
  address: attribute(1, address),
  local: attribute(2, address),
  label: attribute(3, text(z.string())),
  broadcast: attribute(4, address),
  anycast: attribute(5, address),
  cacheInfo: attribute(6, cacheInfo),
  flags: attribute(8, uint32),
  metric: attribute(9, uint32),
  protocol: attribute(11, uint8),
});

/**
 * IFA_F_*; `secondary` of an IPv4 address is the bit of `temporary`, and follows from the order.
 */
const bits = {
  temporary: 0x01,
  noDad: 0x02,
  duplicate: 0x08,
  home: 0x10,
  manageTemporary: 0x100,
  noPrefixRoute: 0x200,
  autoJoin: 0x400,
  stablePrivacy: 0x800,
} as const;
/** What inet6_rtm_newaddr in net/ipv6/addrconf.c takes. */
const carriedBits = ['home', 'manageTemporary', 'noPrefixRoute', 'autoJoin'] as const;
/** IFAPROT_KERNEL_*: kernels before 5.18 do not say it. */
const kernelProtocolMax = 3;

const messages = { add: 20, remove: 21, get: 22 } as const;
/** NLM_F_CREATE and NLM_F_EXCL. */
const createFlags = 0x400 | 0x200;
const headerBytes = 8;

/**
 * Addresses in the kernel's order, which says which one is primary and which is chosen as a source.
 * IPv6 puts each new one before the others of its scope (ipv6_link_dev_addr), IPv4 behind them
 * (inet_insert_ifa). All are added without duplicate detection: they were the job's before. An
 * address with a temporary's life is an ordinary one on the target, until a router announces its
 * prefix.
 */
export const addresses: Section<Address> = {
  name: 'address',
  schema: addressEntrySchema,
  read: (space, reading) => [...readFamily(4, space, reading), ...readFamily(6, space, reading)],
  add: (one, names) => [request(messages.add, createFlags, one, names)],
  remove: (one, names) => [request(messages.remove, 0, one, names)],
  describe: ({ address: own, prefixLength, link: dev }) => `${own}/${prefixLength} dev ${dev}`,
  // What is left of a life differs at each reading, whether it is over does not.
  compared: ({ lifetimes, temporary, stablePrivacy, duplicate, protocol = 0, ...one }) => ({
    ...one,
    ...(protocol > kernelProtocolMax ? { protocol } : {}),
    ...(lifetimes === undefined
      ? {}
      : { deprecated: lifetimes.preferred === 0, ends: lifetimes.valid !== forever }),
  }),
  order: {
    groupOf: ({ link: dev, family, scope }) => `${dev} ${family} ${family === 6 ? scope : ''}`,
    placed: 'last',
  },
};

function readFamily(family: 4 | 6, space: NetlinkSpace, reading: Reading): Address[] {
  const body = Buffer.alloc(headerBytes);
  body.writeUInt8(familyNumber(family), 0);
  const found = space.socket('route').dump({ type: messages.get, body }, 'addresses');
  const all = found.map((message) => readAddress(family, message.body, reading));
  // Newest first is turned round, so that in both families a new one stands behind the others.
  return family === 4 ? all : all.reverse();
}

function readAddress(family: 4 | 6, bytes: Buffer, reading: Reading): Address {
  const raw = attributes.decode(bytes.subarray(headerBytes), reading);
  const flags = raw.flags ?? bytes.readUInt8(2);
  const own = raw.local ?? raw.address ?? '';
  const dev = nameOfLink(bytes.readUInt32LE(4), reading.names);
  const has = (bit: number) => ((flags & bit) === 0 ? undefined : (true as const));
  const life = raw.cacheInfo;
  const isForever = life === undefined || (life.valid === forever && life.preferred === forever);
  return compact({
    link: dev,
    family,
    address: own,
    prefixLength: bytes.readUInt8(1),
    peer: raw.address === own ? undefined : raw.address,
    broadcast: raw.broadcast,
    anycast: raw.anycast,
    scope: bytes.readUInt8(3),
    label: raw.label === dev ? undefined : raw.label,
    metric: raw.metric === 0 ? undefined : raw.metric,
    protocol: raw.protocol === 0 ? undefined : raw.protocol,
    temporary: family === 6 ? has(bits.temporary) : undefined,
    stablePrivacy: has(bits.stablePrivacy),
    duplicate: family === 6 ? has(bits.duplicate) : undefined,
    ...Object.fromEntries(carriedBits.map((name) => [name, has(bits[name])])),
    lifetimes: isForever ? undefined : life,
  });
}

function request(type: number, flags: number, one: Address, names: LinkNames): Request {
  const header = Buffer.alloc(headerBytes);
  header.set([familyNumber(one.family), one.prefixLength, 0, one.scope]);
  header.writeUInt32LE(names.indexOf(one.link), 4);
  const carried = carriedBits.reduce((sum, name) => sum | (one[name] ? bits[name] : 0), 0);
  const own = one.family === 6 && one.duplicate === undefined ? bits.noDad : 0;
  const body = attributes.encode(
    {
      address: one.peer ?? one.address,
      local: one.address,
      // Without a label an IPv4 address gets its device's name.
      label: one.family === 4 ? (one.label ?? one.link) : undefined,
      broadcast: one.broadcast,
      anycast: one.anycast,
      cacheInfo: one.lifetimes,
      flags: carried | own,
      metric: one.metric,
      protocol: one.protocol,
    },
    names,
  );
  return { type, flags, body: Buffer.concat([header, body]) };
}
