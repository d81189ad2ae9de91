import { isIP } from 'node:net';
import { z } from 'zod';
import { MigrateError } from '../../base/errors.ts';
import { l2Limits } from './limits.ts';

/**
 * What the kernel takes as a device name (dev_valid_name in net/core/dev.c), less the characters
 * that `ip -batch` would read as something else.
 */
export const linkNamePattern = /^(?!-|\.{1,2}$)[A-Za-z0-9_.@+-]{1,15}$/;

const linkName = z.string().regex(linkNamePattern);
const address = z.string().refine(isAddress, 'not an IP address');
const prefix = z.string().refine(isPrefix, 'not ADDRESS/LENGTH or "default"');
const mac = z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
const family = z.union([z.literal(4), z.literal(6)]);
const uint8 = z.int().min(0).max(255);
const uint16 = z.int().min(0).max(65_535);
const uint32 = z.int().min(0).max(4_294_967_295);
const hex = z.string().regex(/^0x[0-9a-f]{1,8}$/);
const portRange = z.tuple([uint16, uint16]);

export const linkSchema = z.strictObject({
  name: linkName,
  kind: z.enum(['lo', 'veth']),
  /** Programs keep device numbers, in IPv6 scope ids for one. */
  index: z.int().min(1).optional(),
  mac: mac.optional(),
  mtu: z.int().min(0).max(65_536),
  txQueueLength: uint32,
  up: z.boolean(),
  group: uint32,
  /** Printable, without what `ip -batch` would read as a comment or a quote. */
  alias: z
    .string()
    .regex(/^[^#"\\\p{C}]+$/u)
    .max(l2Limits.aliasCharsMax)
    .optional(),
  /** How the kernel makes link-local IPv6 addresses by itself; absent without IPv6. */
  addrGenMode: z.enum(['eui64', 'none', 'stable_secret', 'random']).optional(),
});

export const addressSchema = z
  .strictObject({
    link: linkName,
    family,
    address,
    prefixLength: z.int().min(0).max(128),
    peer: address.optional(),
    broadcast: address.optional(),
    scope: uint8,
    label: z
      .string()
      .regex(/^[A-Za-z0-9_.@+:-]{1,15}$/)
      .optional(),
    metric: uint32.optional(),
    noPrefixRoute: z.literal(true).optional(),
    /** Not chosen as a source any more (preferred lifetime 0). */
    deprecated: z.literal(true).optional(),
  })
  .refine((one) => isIP(one.address) === one.family, 'address of another family')
  .refine((one) => one.prefixLength <= (one.family === 4 ? 32 : 128), 'prefix too long');

const hop = {
  gateway: address.optional(),
  link: linkName.optional(),
  onlink: z.literal(true).optional(),
};

export const routeTypes = [
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

/** The metrics of a route that are plain numbers (ip-route(8)). */
export const routeMetricNames = [
  'mtu',
  'advmss',
  'window',
  'ssthresh',
  'cwnd',
  'initcwnd',
  'initrwnd',
  'reordering',
  'hoplimit',
  'quickack',
] as const;

export const routeSchema = z.strictObject({
  family,
  type: z.enum(routeTypes),
  destination: prefix,
  from: prefix.optional(),
  table: uint32,
  protocol: uint8,
  scope: uint8,
  metric: uint32.optional(),
  tos: hex.optional(),
  source: address.optional(),
  ...hop,
  nextHops: z
    .array(z.strictObject({ ...hop, weight: z.int().min(1).max(256) }))
    .max(l2Limits.nextHopsMax)
    .optional(),
  metrics: z.partialRecord(z.enum(routeMetricNames), uint32).optional(),
  congestion: z
    .string()
    .regex(/^[a-z0-9_]{1,15}$/)
    .optional(),
  preference: z.enum(['low', 'high']).optional(),
});

export const ruleActions = ['blackhole', 'unreachable', 'prohibit', 'nop'] as const;

export const ruleSchema = z.strictObject({
  family,
  priority: uint32,
  not: z.literal(true).optional(),
  from: prefix.optional(),
  to: prefix.optional(),
  tos: hex.optional(),
  mark: z.strictObject({ value: hex, mask: hex.optional() }).optional(),
  iif: linkName.optional(),
  oif: linkName.optional(),
  ipProtocol: uint8.optional(),
  sourcePorts: portRange.optional(),
  destinationPorts: portRange.optional(),
  uids: z.tuple([uint32, uint32]).optional(),
  table: uint32.optional(),
  goto: uint32.optional(),
  action: z.enum(ruleActions).optional(),
  suppressPrefixLength: uint32.optional(),
  protocol: uint8,
});

export const neighbourSchema = z.strictObject({
  link: linkName,
  family,
  address,
  mac: mac.optional(),
  router: z.literal(true).optional(),
  proxy: z.literal(true).optional(),
});

/** One table as `nft list ruleset` prints it, counters and set elements included. */
export const nftTableSchema = z.strictObject({
  family: z.enum(['ip', 'ip6', 'inet', 'arp', 'bridge', 'netdev']),
  name: z.string().regex(/^[A-Za-z0-9_./-]{1,255}$/),
  text: z.string().max(l2Limits.nftTableCharsMax),
});

/** A path below /proc/sys, with slashes because a device name may hold dots (sysctl(8)). */
const sysctlKey = z
  .string()
  .regex(/^net(\/[A-Za-z0-9_@+.-]+)+$/)
  .refine((key) => !key.split('/').some((part) => /^\.+$/.test(part)), 'leaves /proc/sys/net');

export const networkStateSchema = z.strictObject({
  version: z.literal(1),
  links: z.array(linkSchema).max(l2Limits.linksMax),
  addresses: z.array(addressSchema).max(l2Limits.addressesMax),
  routes: z.array(routeSchema).max(l2Limits.routesMax),
  rules: z.array(ruleSchema).max(l2Limits.rulesMax),
  /** Rules that the kernel makes in each namespace and that are gone in this one. */
  removedRules: z.array(z.strictObject({ family, priority: uint32, table: uint32 })).max(5),
  neighbours: z.array(neighbourSchema).max(l2Limits.neighboursMax),
  /** Of the program that printed `nft`. */
  nftVersion: z.string().max(40).optional(),
  nft: z.array(nftTableSchema).max(l2Limits.nftTablesMax),
  sysctls: z
    .record(
      sysctlKey,
      z
        .string()
        .max(l2Limits.sysctlCharsMax)
        .regex(/^[^\n\0]*$/),
    )
    .refine((all) => Object.keys(all).length <= l2Limits.sysctlsMax, 'too many sysctls'),
  /** What was seen and is not in the document; never compared. */
  warnings: z.array(z.string().max(1_000)).max(l2Limits.warningsMax),
});

/** The network identity of a job that has a network namespace of its own, as a document. */
export type NetworkState = z.infer<typeof networkStateSchema>;
export type Link = z.infer<typeof linkSchema>;
export type Address = z.infer<typeof addressSchema>;
export type Route = z.infer<typeof routeSchema>;
export type Rule = z.infer<typeof ruleSchema>;
export type Neighbour = z.infer<typeof neighbourSchema>;
export type NftTable = z.infer<typeof nftTableSchema>;

/** Checks a document; throws `code` with the first thing that is wrong in it. */
export function parseNetworkState(
  value: unknown,
  code: 'BUNDLE_UNSAFE' | 'PLAN_REFUSED' | 'USAGE' = 'BUNDLE_UNSAFE',
): NetworkState {
  const parsed = networkStateSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue?.path.join('.') || 'document';
  throw new MigrateError(code, `network state, ${where}: ${issue?.message ?? 'wrong'}`);
}

/** Without a zone (`%eth0`), which isIP() would take. */
function isAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes('%');
}

function isPrefix(text: string): boolean {
  if (text === 'default') return true;
  const [host = '', length, ...rest] = text.split('/');
  const version = isIP(host);
  if (!isAddress(host) || rest.length > 0) return false;
  if (length === undefined) return true;
  return /^\d{1,3}$/.test(length) && Number(length) <= (version === 4 ? 32 : 128);
}
