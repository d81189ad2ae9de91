import { z } from 'zod';
import { attribute, attributeSet, nested } from '../../netlink/attributes.ts';
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
  uint16,
  uint32,
  uint32Schema,
} from '../../netlink/codec.ts';
import type { NetlinkSpace } from '../../netlink/space.ts';
import { compact } from '../compact.ts';
import { l2Limits } from '../limits.ts';
import type { Request, Section } from '../section.ts';
import {
  encapsulationData,
  encapsulationOf,
  encapsulationSchema,
  type NextHop,
  nextHopSchema,
  nextHops,
  viaCodec,
} from './next-hops.ts';
import { familyNumber, familySchema, hostLength, prefixParts, prefixSchema } from './prefixes.ts';

/** include/uapi/linux/rtnetlink.h, RTN_*. */
const routeTypes = [
  'unspecified',
  'unicast',
  'local',
  'broadcast',
  'anycast',
  'multicast',
  'blackhole',
  'unreachable',
  'prohibit',
  'throw',
] as const;

/**
 * RTAX_*: those of ip-route(8); `lock` is a bit per number of a metric that PMTU must not change.
 */
const metrics = attributeSet('route metric', {
  lock: attribute(1, uint32),
  mtu: attribute(2, uint32),
  window: attribute(3, uint32),
  rtt: attribute(4, uint32),
  rttvar: attribute(5, uint32),
  ssthresh: attribute(6, uint32),
  cwnd: attribute(7, uint32),
  advmss: attribute(8, uint32),
  reordering: attribute(9, uint32),
  hoplimit: attribute(10, uint32),
  initcwnd: attribute(11, uint32),
  features: attribute(12, uint32),
  rtoMin: attribute(13, uint32),
  initrwnd: attribute(14, uint32),
  quickack: attribute(15, uint32),
  congestion: attribute(16, text(z.string().regex(/^[a-z0-9_]{1,15}$/))),
  fastopenNoCookie: attribute(17, uint32),
});

/** struct rta_cacheinfo: the fourth word is the rest of the route's life, in USER_HZ. */
const cacheInfo: Codec<number> = {
  schema: uint32Schema,
  decode: (bytes) => Math.max(0, Math.ceil(bytes.readInt32LE(8) / userHz)),
  encode: () => Buffer.alloc(0),
};

const userHz = 100;
const attributesOf = { 4: routeAttributes(4), 6: routeAttributes(6) } as const;

export const routeSchema = z.strictObject({
  family: familySchema,
  type: z.enum(routeTypes),
  destination: prefixSchema,
  from: prefixSchema.optional(),
  table: uint32Schema,
  protocol: uint8Schema,
  scope: uint8Schema,
  metric: uint32Schema.optional(),
  tos: uint8Schema.optional(),
  source: addressSchema.optional(),
  gateway: addressSchema.optional(),
  link: linkNameSchema.optional(),
  onlink: z.literal(true).optional(),
  /** An object of `nexthops`, by its number; the route then has no next hop of its own. */
  nexthop: uint32Schema.optional(),
  nextHops: z.array(nextHopSchema).max(l2Limits.nextHopsMax).optional(),
  metrics: metrics.schema.optional(),
  realms: uint32Schema.optional(),
  preference: uint8Schema.optional(),
  encapsulation: encapsulationSchema.optional(),
  ttlPropagate: uint8Schema.optional(),
  /** Seconds left, of one that a router has announced. */
  expires: uint32Schema.optional(),
});
export type Route = z.infer<typeof routeSchema>;

const messages = { add: 24, remove: 25, get: 26 } as const;
/** NLM_F_CREATE and NLM_F_APPEND: a second route to the same place stands behind the first. */
const createFlags = 0x400 | 0x800;
const headerBytes = 12;
const flagBits = { onlink: 4, cloned: 0x200 } as const;
/** All of a hop limit's bits: IPv6 has none of its own and says so. */
const noHopLimit = 0xffff_ffff;
const defaultPreference = 0;
/** RT_TABLE_LOCAL and RTPROT_KERNEL. */
const localTable = 255;
const ofKernel = 2;
/** RT_SCOPE_LINK. */
const linkScope = 253;

/**
 * Routes of every table, those that the kernel made included, since what it makes again is the
 * same; but for those that come with an IPv6 address.
 */
export const routes: Section<Route> = {
  name: 'route',
  schema: routeSchema,
  read: (space, reading) => [...readFamily(4, space, reading), ...readFamily(6, space, reading)],
  add: (route, names) => [request(messages.add, createFlags, route, names)],
  remove: (route, names) => [request(messages.remove, 0, route, names)],
  makeWay: ({ table, nextHops: hops = [], ...own }, names) =>
    [own, ...hops].flatMap(({ gateway, link }) => routeTo({ gateway, link, table }, names)),
  describe: describeRoute,
  compared: ({ expires, ...route }) => ({ ...route, expires: expires !== undefined }),
  order: { groupOf, placed: 'last' },
  before: (one, other) => rank(one) - rank(other),
};

/**
 * A route to a gateway alone. The kernel takes no gateway that it cannot reach, and keeps it when
 * its route goes.
 */
export function routeTo(
  hop: Pick<NextHop, 'gateway' | 'link'> & { readonly table: number },
  names: LinkNames,
): Request[] {
  const { gateway, link, table } = hop;
  if (gateway === undefined || link === undefined) return [];
  const length = hostLength(gateway);
  const route: Route = {
    family: length === hostLength(4) ? 4 : 6,
    type: 'unicast',
    destination: `${gateway}/${length}`,
    link,
    table,
    protocol: ofKernel,
    scope: linkScope,
  };
  return [request(messages.add, createFlags, route, names)];
}

function describeRoute(route: Route): string {
  const { type, destination, table, gateway, link, metric, nextHops: hops, nexthop } = route;
  return [
    ...(type === 'unicast' ? [] : [type]),
    destination,
    ...(gateway === undefined ? [] : [`via ${gateway}`]),
    ...(link === undefined ? [] : [`dev ${link}`]),
    ...(nexthop === undefined ? [] : [`nhid ${nexthop}`]),
    ...(hops ?? []).map((hop) => `nexthop ${hop.gateway ?? ''} ${hop.link ?? ''}`),
    ...(metric === undefined ? [] : [`metric ${metric}`]),
    `table ${table}`,
  ].join(' ');
}

/** IPv6 keeps routes without a next hop apart by device. */
function groupOf({ family, table, destination, from, tos, metric, link, gateway }: Route): string {
  const apart = family === 6 && gateway === undefined ? link : '';
  return [family, table, destination, from, tos, metric, apart].join(' ');
}

/** What other routes' gateways are found by comes first: scope host and link, no gateway. */
function rank({ gateway, nextHops: hops, scope }: Route): number {
  return gateway === undefined && hops === undefined ? 255 - scope : 1_000 + 255 - scope;
}

function readFamily(family: 4 | 6, space: NetlinkSpace, reading: Reading): Route[] {
  const body = Buffer.alloc(headerBytes);
  body.writeUInt8(familyNumber(family), 0);
  const found = space.socket('route').dump({ type: messages.get, body }, 'routes');
  return found.flatMap(({ body: bytes }) => {
    const isCloned = (bytes.readUInt32LE(8) & flagBits.cloned) !== 0;
    const route = isCloned ? undefined : readRoute(family, bytes, reading);
    return route === undefined || comesWithAddress(route) ? [] : [route];
  });
}

/**
 * The kernel's own IPv6 route to an address, and to the anycast address of its subnet: made by a
 * work queue once the address is sure (addrconf_dad_completed in net/ipv6/addrconf.c), with a
 * metric of 0, which no request can ask for. It is the address's, not a route's, matter: one whose
 * device has no carrier gets it later, on whichever host that is.
 */
function comesWithAddress({ family, type, table, protocol, metric }: Route): boolean {
  const isOwn = type === 'local' || type === 'anycast';
  return family === 6 && isOwn && table === localTable && protocol === ofKernel && !metric;
}

function readRoute(family: 4 | 6, bytes: Buffer, reading: Reading): Route {
  const [, dstLength = 0, srcLength = 0, tos = 0, table = 0, protocol = 0, scope = 0, type = 0] =
    bytes;
  const raw = attributesOf[family].decode(bytes.subarray(headerBytes), reading);
  const isOnlink = (bytes.readUInt32LE(8) & flagBits.onlink) !== 0;
  const own = {
    gateway: raw.gateway ?? raw.via,
    link: raw.oif === undefined ? undefined : nameOfLink(raw.oif, reading.names),
    onlink: isOnlink ? (true as const) : undefined,
    nextHops: raw.multipath,
    encapsulation: encapsulationOf(raw.encapsulationType, raw.encapsulation),
  };
  return compact({
    family,
    type: routeTypes[type] ?? 'unspecified',
    destination: dstLength === 0 ? 'default' : `${raw.dst}/${dstLength}`,
    from: srcLength === 0 ? undefined : `${raw.src}/${srcLength}`,
    table: raw.table ?? table,
    protocol,
    scope,
    metric: raw.metric,
    tos: tos === 0 ? undefined : tos,
    source: raw.source,
    // Where an object says the next hop, the kernel repeats it for old readers.
    ...(raw.nexthop === undefined ? own : { nexthop: raw.nexthop }),
    metrics: metricsOf(raw.metrics),
    realms: raw.realms,
    preference: raw.preference === defaultPreference ? undefined : raw.preference,
    ttlPropagate: raw.ttlPropagate,
    expires: (raw.cacheInfo ?? 0) > 0 ? raw.cacheInfo : undefined,
  });
}

function metricsOf(raw: Route['metrics']): Route['metrics'] {
  if (raw === undefined) return undefined;
  const all = raw.hoplimit === noHopLimit ? { ...raw, hoplimit: undefined } : raw;
  return Object.values(all).some((value) => value !== undefined) ? compact(all) : undefined;
}

function request(type: number, flags: number, route: Route, names: LinkNames): Request {
  const [dst, dstLength] = prefixParts(route.destination);
  const [src, srcLength] = route.from === undefined ? [undefined, 0] : prefixParts(route.from);
  const header = Buffer.alloc(headerBytes);
  header.set([familyNumber(route.family), dstLength, srcLength, route.tos ?? 0]);
  header.set([0, route.protocol, route.scope, routeTypes.indexOf(route.type)], 4);
  header.writeUInt32LE(route.onlink === true ? flagBits.onlink : 0, 8);
  const { gateway } = route;
  const isForeign = gateway !== undefined && hostLength(gateway) !== hostLength(route.family);
  const body = attributesOf[route.family].encode(
    {
      dst,
      src,
      oif: route.link === undefined ? undefined : names.indexOf(route.link),
      gateway: isForeign ? undefined : gateway,
      via: isForeign ? gateway : undefined,
      metric: route.metric,
      source: route.source,
      metrics: route.metrics,
      multipath: route.nextHops,
      realms: route.realms,
      table: route.table,
      preference: route.preference,
      encapsulationType: route.encapsulation?.type,
      encapsulation: route.encapsulation?.data,
      expires: type === messages.add ? route.expires : undefined,
      ttlPropagate: route.ttlPropagate,
      nexthop: route.nexthop,
    },
    names,
  );
  return { type, flags, body: Buffer.concat([header, body]) };
}

function routeAttributes(family: 4 | 6) {
  return attributeSet(
    'route',
    {
      dst: attribute(1, address),
      src: attribute(2, address),
      oif: attribute(4, uint32),
      gateway: attribute(5, address),
      metric: attribute(6, uint32),
      source: attribute(7, address),
      metrics: attribute(8, nested(metrics)),
      multipath: attribute(9, nextHops(family)),
      /** From and to realm, 16 bits each. */
      realms: attribute(11, uint32),
      cacheInfo: attribute(12, cacheInfo),
      table: attribute(15, uint32),
      via: attribute(18, viaCodec),
      preference: attribute(20, uint8),
      encapsulationType: attribute(21, uint16),
      encapsulation: attribute(22, encapsulationData),
      expires: attribute(23, uint32),
      ttlPropagate: attribute(26, uint8),
      nexthop: attribute(30, uint32),
    },
    [24],
  );
}
