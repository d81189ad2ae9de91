import { z } from 'zod';
import { addressText } from '../../address.ts';
import { attribute, attributeSet } from '../../netlink/attributes.ts';
import {
  address,
  addressSchema,
  bytesOf,
  type Codec,
  familyOf,
  type LinkNames,
  linkNameSchema,
  nameOfLink,
  type Reading,
  uint16,
  uint16Schema,
  uint32,
  uint32Schema,
} from '../../netlink/codec.ts';
import { compact } from '../compact.ts';
import { l2Limits } from '../limits.ts';
import { hostLength } from './prefixes.ts';

/**
 * What a tunnel wraps around packets of a route (RTA_ENCAP), as the kernel says it: each kind has a
 * table of its own, and all of them take back what they said (lwtunnel_fill_encap).
 */
export const encapsulationData: Codec<string> = {
  ...bytesOf(l2Limits.encapsulationBytesMax),
  isNest: true,
};

export const encapsulationSchema = z.strictObject({
  type: uint16Schema,
  data: encapsulationData.schema,
});

/** One of several next hops of a route (struct rtnexthop). */
export const nextHopSchema = z.strictObject({
  gateway: addressSchema.optional(),
  link: linkNameSchema.optional(),
  weight: z.int().min(1).max(256),
  onlink: z.literal(true).optional(),
  realms: uint32Schema.optional(),
  encapsulation: encapsulationSchema.optional(),
});
export type NextHop = z.infer<typeof nextHopSchema>;

/** struct rtvia: a gateway of the other family. */
export const viaCodec: Codec<string> = {
  schema: addressSchema,
  decode: (bytes) => addressText(bytes.subarray(2)),
  encode(value, names) {
    const family = Buffer.alloc(2);
    family.writeUInt16LE(familyOf(value));
    return Buffer.concat([family, address.encode(value, names)]);
  },
};

const attributes = attributeSet('next hop', {
  gateway: attribute(5, address),
  realms: attribute(11, uint32),
  via: attribute(18, viaCodec),
  encapsulationType: attribute(21, uint16),
  encapsulation: attribute(22, encapsulationData),
});

const headerBytes = 8;
const onlinkBit = 4;

/** RTA_MULTIPATH: a run of struct rtnexthop, each with attributes of its own. */
export function nextHops(family: 4 | 6): Codec<NextHop[]> {
  return {
    schema: z.array(nextHopSchema).max(l2Limits.nextHopsMax),
    decode(bytes, reading) {
      const hops: NextHop[] = [];
      for (let at = 0; at + headerBytes <= bytes.length; ) {
        const length = bytes.readUInt16LE(at);
        if (length < headerBytes) break;
        hops.push(readHop(bytes.subarray(at, at + length), reading));
        at += (length + 3) & ~3;
      }
      return hops;
    },
    encode: (hops, names) => Buffer.concat(hops.map((hop) => hopBytes(family, hop, names))),
  };
}

function readHop(bytes: Buffer, reading: Reading): NextHop {
  const raw = attributes.decode(bytes.subarray(headerBytes), reading);
  const gateway = raw.gateway ?? raw.via;
  const index = bytes.readInt32LE(4);
  return compact({
    gateway,
    link: index === 0 ? undefined : nameOfLink(index, reading.names),
    weight: bytes.readUInt8(3) + 1,
    onlink: (bytes.readUInt8(2) & onlinkBit) === 0 ? undefined : (true as const),
    realms: raw.realms,
    encapsulation: encapsulationOf(raw.encapsulationType, raw.encapsulation),
  });
}

function hopBytes(family: 4 | 6, hop: NextHop, names: LinkNames): Buffer {
  const { gateway } = hop;
  const isForeign = gateway !== undefined && hostLength(gateway) !== hostLength(family);
  const body = attributes.encode(
    {
      gateway: isForeign ? undefined : gateway,
      via: isForeign ? gateway : undefined,
      realms: hop.realms,
      encapsulationType: hop.encapsulation?.type,
      encapsulation: hop.encapsulation?.data,
    },
    names,
  );
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16LE(headerBytes + body.length, 0);
  header.writeUInt8(hop.onlink === true ? onlinkBit : 0, 2);
  header.writeUInt8(hop.weight - 1, 3);
  header.writeInt32LE(hop.link === undefined ? 0 : names.indexOf(hop.link), 4);
  return Buffer.concat([header, body]);
}

/** Both parts of it, or none. */
export function encapsulationOf(
  type: number | undefined,
  data: string | undefined,
): NextHop['encapsulation'] {
  return data === undefined || type === undefined ? undefined : { type, data };
}
