import { isIPv4 } from 'node:net';
import { z } from 'zod';
import { addressBytes, addressText } from '../../address.ts';
import {
  attribute,
  attributeBytes,
  attributeSet,
  listOf,
  nested,
  nestedFlag,
} from '../../netlink/attributes.ts';
import {
  address,
  type Codec,
  familyOf,
  type LinkNames,
  uint8,
  uint16,
  uint32,
} from '../../netlink/codec.ts';
import { compact } from '../compact.ts';
import { l2Limits } from '../limits.ts';
import { unless } from './codecs.ts';

/** A key of 32 bytes, as wg(8) spells it. */
const keySchema = z.string().regex(/^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/);

/** What the kernel says instead of no key, and takes for it. */
export const noKey = `${'A'.repeat(43)}=`;

/** All zeros stand for no key. */
export const key: Codec<string> = unless(
  {
    schema: keySchema,
    decode: (bytes) => bytes.toString('base64'),
    encode: (value) => Buffer.from(value, 'base64'),
  },
  noKey,
);

/** One peer, as wg(8) shows it; `presharedKey` is a secret: see `withoutSecrets`. */
export const peerSchema = z.strictObject({
  publicKey: keySchema,
  presharedKey: keySchema.optional(),
  endpoint: z
    .strictObject({
      address: z.union([z.ipv4(), z.ipv6()]),
      port: uint16.schema,
      scope: uint32.schema.optional(),
    })
    .optional(),
  /** Seconds. */
  keepalive: uint16.schema.optional(),
  /** `ADDR/LEN`, sorted. */
  allowed: z.array(z.union([z.cidrv4(), z.cidrv6()])).max(l2Limits.allowedAddressesMax),
});
export type WireguardPeer = z.infer<typeof peerSchema>;

/** Both peers' parts of one peer, where a message ended within it. */
export function joinPeers(told: readonly WireguardPeer[]): WireguardPeer[] {
  const joined: WireguardPeer[] = [];
  for (const peer of told) {
    const last = joined.at(-1);
    if (last?.publicKey === peer.publicKey) last.allowed.push(...peer.allowed);
    else joined.push(peer);
  }
  for (const peer of joined) peer.allowed.sort();
  return joined.sort((one, other) => (one.publicKey < other.publicKey ? -1 : 1));
}

/** Nests for WGDEVICE_A_PEERS, each of at most `bytesMax`: a large peer takes several. */
export function peerNests(peer: WireguardPeer, bytesMax: number, names: LinkNames): Buffer[] {
  const { allowed, ...said } = peer;
  const perNest = Math.floor((bytesMax - peerBytesMax) / allowedBytesMax);
  const nests: Buffer[] = [];
  for (let at = 0; at === 0 || at < allowed.length; at += perNest) {
    const part = { allowed: allowed.slice(at, at + perNest) };
    const own = at === 0 ? { ...said, flags: replaceAllowed } : { publicKey: said.publicKey };
    const body = attributes.encode({ ...own, ...part }, names);
    nests.push(attributeBytes(nestedFlag, body));
  }
  return nests;
}

/** WGPEER_F_REPLACE_ALLOWEDIPS */
const replaceAllowed = 2;
/** Everything but the allowed addresses, each with its header; an address with its three. */
const peerBytesMax = 160;
const allowedBytesMax = 44;

/** struct sockaddr_in or sockaddr_in6. */
const endpoint: Codec<NonNullable<WireguardPeer['endpoint']>> = {
  schema: peerSchema.shape.endpoint.unwrap(),
  decode(bytes) {
    const port = bytes.readUInt16BE(2);
    if (bytes.length < 28) return { address: addressText(bytes.subarray(4, 8)), port };
    const scope = bytes.readUInt32LE(24) || undefined;
    return compact({ address: addressText(bytes.subarray(8, 24)), port, scope });
  },
  encode({ address: text, port, scope }) {
    const bytes = Buffer.alloc(isIPv4(text) ? 16 : 28);
    bytes.writeUInt16LE(familyOf(text), 0);
    bytes.writeUInt16BE(port, 2);
    addressBytes(text).copy(bytes, isIPv4(text) ? 4 : 8);
    if (bytes.length > 16) bytes.writeUInt32LE(scope ?? 0, 24);
    return bytes;
  },
};

/** WGALLOWEDIP_A_* of include/uapi/linux/wireguard.h. */
const allowedParts = attributeSet('wireguard allowed address', {
  family: attribute(1, uint16),
  address: attribute(2, address),
  length: attribute(3, uint8),
});

const allowedAddress: Codec<string> = {
  schema: z.string(),
  isNest: true,
  decode(bytes, reading) {
    const { address: text, length } = allowedParts.decode(bytes, reading);
    return `${text}/${length}`;
  },
  encode(value, names) {
    const [text = '', length] = value.split('/');
    const family = familyOf(text);
    return allowedParts.encode({ family, address: text, length: Number(length) }, names);
  },
};

/** WGPEER_A_*; what is ignored are the last handshake, the counters and the protocol's version. */
const attributes = attributeSet(
  'wireguard peer',
  {
    publicKey: attribute(1, { ...key, isAbsent: () => false }),
    presharedKey: attribute(2, key),
    flags: attribute(3, uint32),
    endpoint: attribute(4, endpoint),
    keepalive: attribute(5, unless(uint16, 0)),
    allowed: attribute(9, listOf(allowedAddress, l2Limits.allowedAddressesMax)),
  },
  [6, 7, 8, 10],
);

/** WGDEVICE_A_PEERS as it is told. */
export const toldPeers: Codec<WireguardPeer[]> = listOf(
  {
    ...nested(attributes),
    schema: peerSchema,
    decode(bytes, reading): WireguardPeer {
      const { publicKey = noKey, flags: _, ...told } = attributes.decode(bytes, reading);
      return compact({ publicKey, ...told, allowed: told.allowed ?? [] });
    },
    encode: (peer, names) => attributes.encode(peer, names),
  },
  l2Limits.wireguardPeersMax,
);
