import { z } from 'zod';
import { attribute, attributeSet } from '../../netlink/attributes.ts';
import {
  address,
  addressSchema,
  hardwareAddress,
  type LinkNames,
  linkNameSchema,
  nameOfLink,
  type Reading,
  uint8,
  uint8Schema,
  uint32,
} from '../../netlink/codec.ts';
import type { NetlinkSpace } from '../../netlink/space.ts';
import { compact } from '../compact.ts';
import type { Request, Section } from '../section.ts';
import { familyNumber, familySchema } from './prefixes.ts';

export const neighbourSchema = z.strictObject({
  link: linkNameSchema.optional(),
  family: familySchema,
  address: addressSchema,
  mac: hardwareAddress.schema.optional(),
  router: z.literal(true).optional(),
  proxy: z.literal(true).optional(),
  /** Kept in step by an outside learner, never timed out (NTF_EXT_LEARNED). */
  externallyLearned: z.literal(true).optional(),
  /** The learner answers for it: kept through all states (NTF_EXT_VALIDATED, since Linux 6.17). */
  externallyValidated: z.literal(true).optional(),
  /** Resolved again before it gets stale (NTF_EXT_MANAGED). */
  managed: z.literal(true).optional(),
  /** Of an outside learner's: not permanent, but looked after by the kernel; or never asked for. */
  state: z.enum(['dynamic', 'noarp']).optional(),
  protocol: uint8Schema.optional(),
});
export type Neighbour = z.infer<typeof neighbourSchema>;

const attributes = attributeSet(
  'neighbour',
  {
    dst: attribute(1, address),
    mac: attribute(2, hardwareAddress),
    protocol: attribute(12, uint8),
    flagsExt: attribute(15, uint32),
  },
  [3, 4],
);

const messages = { add: 28, remove: 29, get: 30 } as const;
/** NLM_F_CREATE and NLM_F_REPLACE: the kernel may have learned the neighbour by itself. */
const createFlags = 0x400 | 0x100;
const headerBytes = 12;
/** NUD_*: a `stale` one has an address that is confirmed when it is used. */
const states = { permanent: 0x80, noarp: 0x40, stale: 0x04, none: 0 } as const;
const bits = { proxy: 0x08, externallyLearned: 0x10, router: 0x80 } as const;
const extendedBits = { managed: 1, validated: 4 } as const;

/** Neighbours that somebody set: permanent ones, proxies, those of an outside learner. */
export const neighbours: Section<Neighbour> = {
  name: 'neighbour',
  schema: neighbourSchema,
  read: (space, reading) =>
    ([4, 6] as const).flatMap((family) => [
      ...readFamily(family, 0, space, reading),
      ...readFamily(family, bits.proxy, space, reading),
    ]),
  add: (one, names) => [request(messages.add, createFlags, one, names)],
  remove: (one, names) => [request(messages.remove, 0, one, names)],
  describe: ({ address: own, link, proxy, mac }) =>
    `${proxy ? 'proxy ' : ''}${own} dev ${link ?? 'any'} lladdr ${mac ?? 'none'}`,
  // The kernel asks for it again whenever it likes.
  compared: ({ mac, ...one }) => (one.state === 'dynamic' ? one : { mac, ...one }),
};

function readFamily(
  family: 4 | 6,
  flags: number,
  space: NetlinkSpace,
  reading: Reading,
): Neighbour[] {
  const body = Buffer.alloc(headerBytes);
  body.writeUInt8(familyNumber(family), 0);
  body.writeUInt8(flags, 10);
  const found = space.socket('route').dump({ type: messages.get, body }, 'neighbours');
  return found.flatMap(({ body: bytes }) => readNeighbour(family, bytes, reading) ?? []);
}

function readNeighbour(family: 4 | 6, bytes: Buffer, reading: Reading): Neighbour | undefined {
  const index = bytes.readInt32LE(4);
  const state = bytes.readUInt16LE(8);
  const flags = bytes.readUInt8(10);
  const has = (bit: number) => ((flags & bit) === 0 ? undefined : (true as const));
  const raw = attributes.decode(bytes.subarray(headerBytes), reading);
  const hasExtended = (bit: number) =>
    ((raw.flagsExt ?? 0) & bit) === 0 ? undefined : (true as const);
  const isPermanent = (state & states.permanent) !== 0 || has(bits.proxy) !== undefined;
  const managed = hasExtended(extendedBits.managed);
  const externallyLearned = has(bits.externallyLearned);
  const externallyValidated = hasExtended(extendedBits.validated);
  const isSet = [managed, externallyLearned, externallyValidated].includes(true);
  if (!isPermanent && !isSet) return undefined;
  const lasting = (state & states.noarp) === 0 ? 'dynamic' : 'noarp';
  return compact({
    link: index === 0 ? undefined : nameOfLink(index, reading.names),
    family,
    address: raw.dst ?? '',
    mac: raw.mac,
    router: has(bits.router),
    proxy: has(bits.proxy),
    externallyLearned,
    externallyValidated,
    managed,
    state: isPermanent ? undefined : lasting,
    protocol: raw.protocol === 0 ? undefined : raw.protocol,
  });
}

function request(type: number, flags: number, one: Neighbour, names: LinkNames): Request {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt8(familyNumber(one.family), 0);
  header.writeInt32LE(one.link === undefined ? 0 : names.indexOf(one.link), 4);
  header.writeUInt16LE(stateOf(one), 8);
  header.writeUInt8(
    (one.proxy ? bits.proxy : 0) |
      (one.externallyLearned ? bits.externallyLearned : 0) |
      (one.router ? bits.router : 0),
    10,
  );
  const extended =
    (one.managed ? extendedBits.managed : 0) |
    (one.externallyValidated ? extendedBits.validated : 0);
  const body = attributes.encode(
    {
      dst: one.address,
      mac: one.mac,
      protocol: one.protocol,
      flagsExt: extended === 0 ? undefined : extended,
    },
    names,
  );
  return { type, flags, body: Buffer.concat([header, body]) };
}

/** One without an address is asked for as soon as somebody needs it. */
function stateOf({ state, mac }: Neighbour): number {
  if (state === undefined) return states.permanent;
  if (state === 'noarp') return states.noarp;
  return mac === undefined ? states.none : states.stale;
}
