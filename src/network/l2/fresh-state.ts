import { randomBytes } from 'node:crypto';
import { isIP, isIPv4 } from 'node:net';
import { MigrateError } from '../../base/errors.ts';
import { addressBytes, parseInterfaceAddress } from '../address.ts';
import type { Address } from './objects/addresses.ts';
import type { Route } from './objects/routes.ts';
import { sectionNames } from './sections.ts';
import { type NetworkState, parseNetworkState } from './state.ts';

export interface FreshSpec {
  /** ADDRESS[/LENGTH] each; without a length, that address alone. */
  readonly ip: readonly string[];
  /** The next hop of the default route, of either family; several for both. */
  readonly gateways?: readonly string[];
  /** The bridge that its veth hangs on. */
  readonly bridge: string;
  /** Bytes; that of the bridge. */
  readonly mtu: number;
  /** Random and locally administered unless given. */
  readonly mac?: string;
  readonly innerName?: string;
}

const scopes = { global: 0, link: 253 } as const;
const mainTable = 254;
/** RTPROT_BOOT, what `ip route add` says unless told otherwise. */
const bootProtocol = 3;

/**
 * The document of a new job: lo and one veth end with its addresses and default routes. It leaves
 * out what the kernel makes by itself: `keepExtra` builds it.
 * Throws USAGE for an address or gateway that is none, or a gateway in no subnet of the job's.
 */
export function freshState(spec: FreshSpec): NetworkState {
  const name = spec.innerName ?? 'eth0';
  const link = { txQueueLength: 1_000, up: true, group: 0 } as const;
  const mac = spec.mac ?? randomMac();
  try {
    const addresses = spec.ip.map((text) => jobAddress(text, name));
    for (const gateway of spec.gateways ?? []) checkReachable(gateway, addresses);
    const state = {
      version: 2,
      links: [
        { ...link, name: 'lo', kind: 'lo', mtu: 65_536 },
        {
          ...{ ...link, name, kind: 'veth', mac, mtu: spec.mtu, addrGenMode: 'eui64' },
          outside: true,
        },
      ],
      ends: [{ link: name, on: 'bridge', device: spec.bridge, mtu: spec.mtu }],
      ...Object.fromEntries(sectionNames.map((list) => [list, []])),
      addresses: [...addresses, jobAddress(`${linkLocal(mac)}/64`, name)],
      routes: (spec.gateways ?? []).map((gateway) => defaultRoute(gateway, name)),
      files: [],
      nft: [],
      iptables: [],
      sysctls: {},
      warnings: [],
    };
    return parseNetworkState(state, 'USAGE');
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MigrateError('USAGE', `the job's network: ${why}`, { cause });
  }
}

/** Six bytes in hexadecimal: one station's (bit 0 of the first is 0), made up locally (bit 1). */
function randomMac(): string {
  const bytes = randomBytes(6);
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return bytes.toString('hex').replace(/..(?=.)/g, '$&:');
}

function jobAddress(text: string, link: string): Address {
  const { address, family, prefix } = parseInterfaceAddress(text);
  const scope = isLinkLocal(address) ? scopes.link : scopes.global;
  return { link, family, address, prefixLength: prefix, scope };
}

/**
 * The address that the kernel would make by itself and check for duplicates first: from the MAC,
 * ff:fe in its middle and bit 1 of its first byte turned (RFC 4291, appendix A).
 */
function linkLocal(mac: string): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac
    .split(':')
    .map((part) => parseInt(part, 16));
  const groups = [((a ^ 2) << 8) | b, (c << 8) | 0xff, 0xfe00 | d, (e << 8) | f];
  // Through URL, which spells an address as the kernel prints it (RFC 5952).
  const text = `fe80::${groups.map((group) => group.toString(16)).join(':')}`;
  return new URL(`http://[${text}]`).hostname.slice(1, -1);
}

function checkReachable(gateway: string, addresses: readonly Address[]): void {
  const reachable = addresses.some(
    ({ family, address, prefixLength }) =>
      family === isIP(gateway) &&
      subnetKey(address, prefixLength) === subnetKey(gateway, prefixLength),
  );
  if (reachable || isLinkLocal(gateway)) return;
  throw new MigrateError('USAGE', `gateway ${gateway} lies in no subnet of the job's addresses`);
}

function isLinkLocal(address: string): boolean {
  return /^fe[89ab].:/i.test(address);
}

function defaultRoute(gateway: string, link: string): Route {
  const family = isIPv4(gateway) ? 4 : 6;
  return {
    family,
    type: 'unicast',
    destination: 'default',
    table: mainTable,
    protocol: bootProtocol,
    scope: scopes.global,
    ...(family === 6 ? { metric: 1_024 } : {}),
    gateway,
    link,
  };
}

/** The same text for addresses of one subnet. */
function subnetKey(address: string, length: number): string {
  const bits = [...addressBytes(address)].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return bits.slice(0, length);
}
