import { z } from 'zod';
import {
  attribute,
  attributeBytes,
  attributeSet,
  encodeAttribute,
  findAttribute,
  forEachAttribute,
  nested,
  nestedFlag,
} from '../../netlink/attributes.ts';
import { bytesOf, type Codec, flag, type Reading, text, uint32 } from '../../netlink/codec.ts';
import { genericAttributes, genericBody, genericFamily } from '../../netlink/genl.ts';
import type { NetlinkSpace } from '../../netlink/space.ts';
import { l2Limits } from '../limits.ts';
import type { Request } from '../section.ts';

/**
 * What a device should do with packets by itself, by the names of ethtool(8): only what can be
 * changed and is not as the kernel begins with. `true` is on.
 */
export type Offloads = Readonly<Record<string, boolean>>;

const nameSchema = z.string().regex(/^[a-z0-9_-]{1,31}$/);
export const offloadsSchema = z
  .record(nameSchema, z.boolean())
  .refine((said) => Object.keys(said).length <= l2Limits.offloadsMax, 'too many offloads');

/**
 * The offloads of all devices of a namespace, in two requests however many there are; to be asked
 * by a device's name and kind. Nothing is said where the kernel has no ethtool netlink family.
 */
export function readOffloads(
  space: NetlinkSpace,
  reading: Reading,
): (link: string, kind: string) => Offloads | undefined {
  const type = genericFamily(space, 'ethtool');
  if (type === undefined) return () => undefined;
  const names = featureNames(space, type);
  const body = genericBody(commands.featuresGet, headerBytesOf({ flags: compactBits }, space));
  const found = new Map<string, ReadonlyMap<string, boolean>>();
  for (const message of space.socket('generic').dump({ type, body }, 'offloads')) {
    const told = features.decode(genericAttributes(message.body), reading);
    if (told.header?.name === undefined) continue;
    found.set(told.header.name, changeable(told, names));
  }
  return (link, kind) => {
    const unusual = [...(found.get(link) ?? [])].filter(
      ([name, isOn]) => isOn !== isUsual(name, kind),
    );
    return unusual.length === 0 ? undefined : Object.fromEntries(unusual);
  };
}

/**
 * What to send so that a device that has the offloads `found` has those `wanted`. The kernel takes
 * what it can and says nothing about the rest: read again.
 */
export function offloadRequest(
  space: NetlinkSpace,
  link: { readonly name: string; readonly kind: string },
  wanted: Offloads = {},
  found: Offloads = {},
): Request | undefined {
  const type = genericFamily(space, 'ethtool');
  const names = new Set([...Object.keys(wanted), ...Object.keys(found)]);
  const bits = [...names].flatMap((name) => {
    const isOn = wanted[name] ?? isUsual(name, link.kind);
    return isOn === found[name] ? [] : [{ name, isOn: isOn ? (true as const) : undefined }];
  });
  if (type === undefined || bits.length === 0) return undefined;
  const change = features.encode(
    { header: { name: link.name, flags: omitReply }, wanted: { bits } },
    space.names,
  );
  return { family: 'generic', type, body: genericBody(commands.featuresSet, change) };
}

/** include/uapi/linux/ethtool_netlink.h */
const commands = { stringsGet: 1, featuresGet: 11, featuresSet: 12 } as const;
const compactBits = 1;
const omitReply = 2;
/** ETH_SS_FEATURES of include/uapi/linux/ethtool.h. */
const featureStrings = 4;
const bitsetBytesMax = 64;

/**
 * Off until somebody turns them on: NETIF_F_SOFT_FEATURES_OFF of include/linux/netdev_features.h,
 * NETIF_F_NOCACHE_COPY, what drivers of hardware offer, and veth's GRO (veth_disable_gro).
 */
const usuallyOff: ReadonlySet<string> = new Set([
  'rx-gro-list',
  'rx-udp-gro-forwarding',
  'tx-nocache-copy',
  'rx-fcs',
  'rx-all',
  'rx-ntuple-filter',
  'hw-tc-offload',
  'l2-fwd-offload',
  'loopback',
]);

function isUsual(name: string, kind: string): boolean {
  if (kind === 'veth' && name === 'rx-gro') return false;
  return !usuallyOff.has(name);
}

const header = attributeSet('ethtool header', {
  index: attribute(1, uint32),
  name: attribute(2, text(z.string())),
  flags: attribute(3, uint32),
});

const headerAttribute = 1;

function headerBytesOf(value: { name?: string; flags?: number }, space: NetlinkSpace): Buffer {
  return encodeAttribute({ id: headerAttribute, codec: nested(header) }, value, space.names);
}

const bit = attributeSet('ethtool bit', {
  index: attribute(1, uint32),
  name: attribute(2, text(nameSchema)),
  isOn: attribute(3, flag),
});

/** A bit set as it is told: in 32-bit words; as it is said: by names. */
const bitset = attributeSet(
  'ethtool bit set',
  {
    bits: attribute(3, namedBits()),
    value: attribute(4, bytesOf(bitsetBytesMax)),
    mask: attribute(5, bytesOf(bitsetBytesMax)),
  },
  [1, 2],
);

const features = attributeSet('ethtool features', {
  header: attribute(headerAttribute, nested(header)),
  hardware: attribute(2, nested(bitset)),
  wanted: attribute(3, nested(bitset)),
  active: attribute(4, nested(bitset)),
  fixed: attribute(5, nested(bitset)),
});

interface NamedBit {
  name?: string | undefined;
  isOn?: true | undefined;
}

function namedBits(): Codec<NamedBit[]> {
  return {
    schema: z.array(z.custom<NamedBit>()),
    isNest: true,
    decode: () => [],
    encode: (bits, names) =>
      Buffer.concat(bits.map((one) => encodeAttribute({ id: 1, codec: nested(bit) }, one, names))),
  };
}

function changeable(
  told: ReturnType<typeof features.decode>,
  names: readonly (string | undefined)[],
): Map<string, boolean> {
  const bytesIn = (set: { value?: string | undefined } | undefined) =>
    Buffer.from(set?.value ?? '', 'hex');
  const [hardware, wanted, fixed] = [told.hardware, told.wanted, told.fixed].map(bytesIn);
  const has = (bytes: Buffer | undefined, at: number) =>
    (((bytes?.[at >> 3] ?? 0) >> (at & 7)) & 1) === 1;
  const found = new Map<string, boolean>();
  for (const [at, name] of names.entries()) {
    if (name === undefined || !has(hardware, at) || has(fixed, at)) continue;
    found.set(name, has(wanted, at));
  }
  return found;
}

/** What the bits mean to this kernel; a bit without a name is none. */
function featureNames(space: NetlinkSpace, type: number): (string | undefined)[] {
  const known = namesOf.get(space);
  if (known !== undefined) return known;
  const wrap = (id: number, inner: Buffer) => attributeBytes(id | nestedFlag, inner);
  const which = encodeAttribute({ id: 1, codec: uint32 }, featureStrings, space.names);
  const sets = wrap(2, wrap(1, which));
  const asked = Buffer.concat([wrap(headerAttribute, Buffer.alloc(0)), sets]);
  const body = genericBody(commands.stringsGet, asked);
  const [answer] = space.socket('generic').send([{ type, body }]);
  const told = answer?.replies[0]?.body;
  const names = told === undefined ? [] : stringsIn(genericAttributes(told));
  namesOf.set(space, names);
  return names;
}

const namesOf = new WeakMap<NetlinkSpace, (string | undefined)[]>();

function stringsIn(bytes: Buffer): (string | undefined)[] {
  const none = Buffer.alloc(0);
  const sets = findAttribute(bytes, 2) ?? none;
  const strings = findAttribute(findAttribute(sets, 1) ?? none, 3) ?? none;
  const names: (string | undefined)[] = [];
  forEachAttribute(strings, (_id, one) => {
    const at = findAttribute(one, 1)?.readUInt32LE(0);
    const name = findAttribute(one, 2)?.toString('latin1').replace(/\0.*$/s, '');
    if (at !== undefined && at < bitsetBytesMax * 8 && name) names[at] = name;
  });
  return names;
}
