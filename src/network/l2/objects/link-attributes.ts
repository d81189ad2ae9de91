import { z } from 'zod';
import { attribute, attributeSet, nested } from '../../netlink/attributes.ts';
import {
  address6,
  bytesOf,
  type Codec,
  hardwareAddress,
  int32,
  linkNameSchema,
  text,
  uint8,
  uint32,
} from '../../netlink/codec.ts';

/** Large enough for what any kind says about itself. */
const opaqueBytesMax = 65_536;
const opaque: Codec<Buffer> = {
  schema: z.instanceof(Buffer),
  decode: (bytes) => bytes,
  encode: (bytes) => bytes,
};
const opaqueNest: Codec<Buffer> = { ...opaque, isNest: true };

const name = text(linkNameSchema);
/** A property list holds names longer than a device's own (IFLA_ALT_IFNAME). */
export const altNameSchema = z.string().regex(/^(?!\.{1,2}$)[^\s/:\p{C}]{1,127}$/u);

const inet6 = attributeSet(
  'IPv6 of a link',
  {
    conf: attribute(2, opaque),
    token: attribute(7, address6),
    addrGenMode: attribute(8, uint8),
  },
  [1, 3, 4, 5, 6, 9],
);
const inet = attributeSet('IPv4 of a link', { conf: attribute(1, opaque) });
const families = attributeSet(
  'family of a link',
  { inet: attribute(2, nested(inet)), inet6: attribute(10, nested(inet6)) },
  [28],
);

const info = attributeSet(
  'kind of a link',
  {
    kind: attribute(1, text(z.string())),
    data: attribute(2, opaqueNest),
    slaveKind: attribute(4, text(z.string())),
    slaveData: attribute(5, opaqueNest),
  },
  [3],
);

/** Alternative names stand in a list that holds nothing else. */
const altNames: Codec<string[]> = {
  schema: z.array(altNameSchema),
  isNest: true,
  decode(bytes, reading) {
    const names: string[] = [];
    for (let at = 0; at + 4 <= bytes.length; ) {
      const length = bytes.readUInt16LE(at);
      if (length < 4) break;
      names.push(altName.decode(bytes.subarray(at + 4, at + length), reading));
      at += (length + 3) & ~3;
    }
    return names;
  },
  encode: () => Buffer.alloc(0),
};
export const altName = text(altNameSchema);

/** Statistics, what the hardware is, and what follows from something else that is carried. */
const told = [
  6, 7, 8, 9, 12, 14, 15, 16, 21, 22, 23, 24, 25, 30, 33, 34, 35, 36, 38, 42, 44, 47, 48, 50, 54,
  57, 59, 60, 61, 62, 65, 66, 67, 68, 69,
];

/** IFLA_* of include/uapi/linux/if_link.h. */
export const linkAttributes = attributeSet(
  'link',
  {
    mac: attribute(1, hardwareAddress),
    broadcast: attribute(2, hardwareAddress),
    name: attribute(3, name),
    mtu: attribute(4, uint32),
    link: attribute(5, uint32),
    master: attribute(10, uint32),
    txQueueLength: attribute(13, uint32),
    linkMode: attribute(17, uint8),
    info: attribute(18, nested(info)),
    alias: attribute(20, text(z.string())),
    families: attribute(26, nested(families)),
    group: attribute(27, uint32),
    netnsFd: attribute(28, uint32),
    txQueues: attribute(31, uint32),
    rxQueues: attribute(32, uint32),
    linkNetnsId: attribute(37, int32),
    protoDown: attribute(39, uint8),
    gsoMaxSegs: attribute(40, uint32),
    gsoMaxSize: attribute(41, uint32),
    xdp: attribute(43, bytesOf(opaqueBytesMax)),
    maxMtu: attribute(51, uint32),
    altNames: attribute(52, altNames),
    parentDevice: attribute(56, text(z.string())),
    groMaxSize: attribute(58, uint32),
    gsoIpv4MaxSize: attribute(63, uint32),
    groIpv4MaxSize: attribute(64, uint32),
  },
  told,
);
