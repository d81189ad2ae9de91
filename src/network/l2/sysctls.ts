/** Values by path below /proc/sys, with slashes because a device name may hold dots. */
export type Sysctls = Readonly<Record<string, string>>;

/** What a new namespace has, by key; `value` is absent where reading fails until it is set. */
export interface FreshSysctl {
  readonly value?: string;
  readonly writable: boolean;
}

export type FreshSysctls = ReadonlyMap<string, FreshSysctl>;

/** The device of the fresh namespace that shows which sysctls a device has. */
export const freshLink = 'mghfresh0';

export const sysctlRoot = '/proc/sys/';

/**
 * A new namespace takes these from the host it is made on (devinet_init_net, addrconf_init_net with
 * net.core.devconf_inherit_init_net, neigh_parms_alloc, tcp_sk_init), so on the target they would
 * silently be that host's: they are always carried. What a device has is compared with `default`.
 */
export function isInherited(key: string): boolean {
  return (
    /^net\/ipv[46]\/(conf\/(all|default)|neigh\/default)\//.test(key) ||
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

/** Keys of the namespace itself that can be carried: not those of one device, none twice. */
export function commonKeys(fresh: FreshSysctls): string[] {
  return [...fresh]
    .filter(([key, { writable }]) => writable && !isDoubled(key) && !ofOneDevice(key))
    .map(([key]) => key);
}

/** The keys that a device has: what stands before and behind its name. */
export function deviceKeys(fresh: FreshSysctls): [head: string, tail: string][] {
  return [...fresh].flatMap(([key, { writable }]): [string, string][] => {
    const [, head = '', name, tail = ''] = perDevice(key) ?? [];
    const isCarried = name === freshLink && writable && !isDoubled(key) && !isOfLink(tail);
    return isCarried ? [[head, tail]] : [];
  });
}

/**
 * What a device has that nobody has set: its namespace's `default`, or, of what only the first
 * namespace has a default for (neighbours: net/ipv4/arp.c, arp_init), what a new device has.
 */
export function unsetValue(
  key: string,
  standards: ReadonlyMap<string, string> | Sysctls,
  fresh: FreshSysctls,
): string | undefined {
  const [, head, , tail] = perDevice(key) ?? [];
  const twin = `${head}default${tail}`;
  const standard = standards instanceof Map ? standards.get(twin) : (standards as Sysctls)[twin];
  return standard ?? fresh.get(twin)?.value ?? fresh.get(`${head}${freshLink}${tail}`)?.value;
}

/** What of a namespace's own values is carried. */
export function pickCommon(found: ReadonlyMap<string, string>, fresh: FreshSysctls): Sysctls {
  return Object.fromEntries(
    [...found].filter(([key, value]) => isInherited(key) || fresh.get(key)?.value !== value),
  );
}

/** What to write to make `found` what is `wanted`: `fresh` and `default` say what absence means. */
export function planSysctls(
  wanted: Sysctls,
  found: Sysctls,
  fresh: FreshSysctls,
): [key: string, value: string][] {
  const keys = [...new Set([...Object.keys(wanted), ...Object.keys(found)])];
  return keys
    .flatMap((key): [string, string][] => {
      const absent = ofOneDevice(key) ? unsetValue(key, wanted, fresh) : fresh.get(key)?.value;
      const value = wanted[key] ?? absent;
      return value === undefined || value === (found[key] ?? absent) ? [] : [[key, value]];
    })
    .sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

/** Wider before narrower: ip_forward, all, default, one device; forwarding first in each. */
function rank(key: string): number {
  const [, , device] = perDevice(key) ?? [];
  const width = key === 'net/ipv4/ip_forward' ? 0 : ['all', 'default'].indexOf(device ?? '') + 1;
  const step = key.endsWith('/forwarding') ? 0 : 1;
  return (width === 0 && device !== undefined ? 3 : width) * 2 + step;
}

/** net/ipv6/conf/eth0.7/mtu as [all, net/ipv6/conf/, eth0.7, /mtu]. */
function perDevice(key: string): RegExpExecArray | null {
  return /^(net\/[^/]+\/(?:conf|neigh)\/)([^/]+)(\/[^/]+)$/.exec(key);
}

function ofOneDevice(key: string): boolean {
  const name = perDevice(key)?.[2];
  return name !== undefined && name !== 'all' && name !== 'default';
}

/** Kept by another name: older units of the same value. */
function isDoubled(key: string): boolean {
  return /\/neigh\/[^/]+\/(base_reachable_time|retrans_time)$/.test(key);
}

/** What the link's own part of the document says. */
function isOfLink(tail: string): boolean {
  return tail === '/addr_gen_mode' || tail === '/mtu';
}
