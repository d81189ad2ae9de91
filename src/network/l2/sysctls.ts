import type { NetworkState } from './state.ts';

export type Sysctls = NetworkState['sysctls'];

/** What a new namespace has, by key; `value` is absent where reading fails until it is set. */
export interface FreshSysctl {
  readonly value?: string;
  readonly writable: boolean;
}

export type FreshSysctls = ReadonlyMap<string, FreshSysctl>;

/** The device of the fresh namespace that all devices but lo are compared with. */
export const freshLink = 'mghfresh0';

export const sysctlRoot = '/proc/sys/';

/**
 * A new namespace takes these from the host it is made on (devinet_init_net, neigh_parms_alloc,
 * tcp_sk_init), so on the target they would silently be that host's: they are always carried.
 */
export function isInherited(key: string): boolean {
  return (
    /^net\/(ipv4\/conf|ipv[46]\/neigh)\//.test(key) ||
    /^net\/ipv4\/(ip_forward|tcp_rmem|tcp_wmem|tcp_congestion_control)$/.test(key)
  );
}

/** Reads what `grep -rs '' /proc/sys/net` printed; values of several lines are left out. */
export function readSysctlText(text: string): Map<string, string> {
  const found = new Map<string, string>();
  const manyLines = new Set<string>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (colon < 0 || !line.startsWith(sysctlRoot)) continue;
    const key = line.slice(sysctlRoot.length, colon);
    if (found.has(key)) manyLines.add(key);
    found.set(key, line.slice(colon + 1));
  }
  for (const key of manyLines) found.delete(key);
  return found;
}

/** The keys that the fresh namespace does not explain, because a module was loaded since. */
export function unexplained(found: ReadonlyMap<string, string>, fresh: FreshSysctls): string[] {
  return [...found.keys()].filter((key) => !fresh.has(freshKey(key)));
}

/**
 * Picks what a namespace must be given on another host: what can be set and is not as in a new
 * namespace, what is inherited, and what the kernel changes together with one of these.
 * `linkMtus` are the MTUs by device; other devices' values are left out.
 */
export function pickSysctls(
  found: ReadonlyMap<string, string>,
  fresh: FreshSysctls,
  linkMtus: ReadonlyMap<string, number>,
): Sysctls {
  const together = changedTogether(found, fresh);
  const picked = [...found].filter(([key, value]) => {
    const standard = fresh.get(freshKey(key));
    if (standard === undefined || !standard.writable || isDoubled(key)) return false;
    if (!belongsToLink(key, value, linkMtus)) return false;
    return isInherited(key) || together.has(key) || standard.value !== value;
  });
  return Object.fromEntries(picked.sort(([a], [b]) => compareKeys(a, b)));
}

/**
 * The lines that the writer of apply.ts reads, in an order in which a value that sets others comes
 * before them. A leading `-` (as in sysctl.d(5)) allows a kernel that has no such key: only where
 * the value was taken along because it is inherited.
 */
export function sysctlLines(sysctls: Sysctls): string[] {
  const keys = Object.keys(sysctls).sort(compareKeys);
  return keys.map((key) => `${isInherited(key) ? '-' : ''}${key}=${sysctls[key] ?? ''}`);
}

/** Wider before narrower: ip_forward, all, default, one device; forwarding first in each. */
function compareKeys(a: string, b: string): number {
  return rank(a) - rank(b) || (a < b ? -1 : 1);
}

function rank(key: string): number {
  const [, , , device] = perLink(key) ?? [];
  const width = key === 'net/ipv4/ip_forward' ? 0 : ['all', 'default'].indexOf(device ?? '') + 1;
  const step = key.endsWith('/forwarding') ? 0 : 1;
  return (width === 0 && device !== undefined ? 3 : width) * 2 + step;
}

function freshKey(key: string): string {
  const [, head, , device, tail] = perLink(key) ?? [];
  const common = device === undefined || ['all', 'default', 'lo'].includes(device);
  return common ? key : `${head}${freshLink}${tail}`;
}

/** net/ipv6/conf/eth0.7/mtu as [all, net/ipv6/conf/, conf, eth0.7, /mtu]. */
function perLink(key: string): RegExpExecArray | null {
  return /^(net\/[^/]+\/(conf|neigh)\/)([^/]+)(\/[^/]+)$/.exec(key);
}

/** Kept by another name: older units of the same value, or the document's addrGenMode. */
function isDoubled(key: string): boolean {
  const device = perLink(key)?.[3];
  const isReal = device !== undefined && !['all', 'default'].includes(device);
  return (
    /\/neigh\/[^/]+\/(base_reachable_time|retrans_time)$/.test(key) ||
    (isReal && key.endsWith('/addr_gen_mode'))
  );
}

function belongsToLink(key: string, value: string, linkMtus: ReadonlyMap<string, number>): boolean {
  const [, , , device, tail] = perLink(key) ?? [];
  if (device === undefined || ['all', 'default'].includes(device)) return true;
  const mtu = linkMtus.get(device);
  return mtu !== undefined && !(tail === '/mtu' && Number(value) === mtu);
}

/** Writing net/ipv6/conf/all/X sets X of every device, so then each device's own is carried. */
function changedTogether(found: ReadonlyMap<string, string>, fresh: FreshSysctls): Set<string> {
  const all = /^net\/ipv6\/conf\/(all|default)\/(.+)$/;
  const names = new Set<string>();
  for (const [key, value] of found) {
    const name = all.exec(key)?.[2];
    if (name !== undefined && fresh.get(key)?.value !== value) names.add(name);
  }
  const keys = [...found.keys()].filter((key) => {
    const [, head, , , tail] = perLink(key) ?? [];
    return head === 'net/ipv6/conf/' && names.has((tail ?? '').slice(1));
  });
  return new Set(keys);
}
