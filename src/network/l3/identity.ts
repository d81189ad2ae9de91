import { MigrateError } from '../../base/errors.ts';
import { run } from '../../host/run.ts';
import {
  broadcastOf,
  hostPrefix,
  type InterfaceAddress,
  networkOf,
  parseInterfaceAddress,
} from '../address.ts';
import { type AddressSettings, settingsFor, settingsWords } from './settings.ts';

/** The addresses that an l3 job owns on its host's device. */
export interface L3Identity {
  readonly device: string;
  readonly addresses: readonly InterfaceAddress[];
  /** Stands for ::1; on `lo` as a /128, reachable from nowhere else. */
  readonly loopback6: string;
  /** Stands for 127.0.0.1; its low bits number the job on its host. */
  readonly loopback4: string;
  /** What the addresses had where they were before; an address that is not among them is new. */
  readonly settings?: readonly AddressSettings[];
}

/** Our routes, as `ip route show proto 77` lists them (rtnetlink(7), RTPROT_* above 4 are free). */
const routeProtocol = 77;

/**
 * Puts the addresses on the device, each as a single host address: with a prefix of their own the
 * first of a subnet would be its primary, and when that job leaves the kernel takes the others'
 * addresses away with it (kernel net/ipv4/devinet.c, __inet_del_ifa). The IPv6 ones
 * are deprecated at once: as a /128 each would match any destination best and become the source of
 * the host's own connections (RFC 6724, rules 3 and 8), and they do not wait for duplicate address
 * detection, a second or more in which no socket can be bound to them. A prefix that the device
 * does not reach yet gets a route of its own, with a metric that only this job has.
 */
export async function addIdentity(identity: L3Identity): Promise<void> {
  const { device, addresses, loopback6, settings } = identity;
  const routes = await missingPrefixes(identity);
  const lines = [
    ...addresses.map((one) => `addr add ${settingsWords(settingsFor(one, settings), device)}`),
    `addr add ${loopback6}/128 dev lo nodad preferred_lft 0`,
    ...routesFor(identity, routes).map((route) => `route add ${route}`),
  ];
  await run('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` });
}

/**
 * Takes all of it off again; what is not there is fine. Each address goes whatever prefix somebody
 * has given it meanwhile: it answers elsewhere from now on.
 */
export async function removeIdentity(identity: L3Identity): Promise<void> {
  const { device, addresses, loopback6 } = identity;
  const lines = [
    ...addresses.map(
      ({ address, family }) => `addr flush dev ${device} to ${address}/${hostPrefix(family)}`,
    ),
    `addr del ${loopback6}/128 dev lo`,
    ...routesFor(identity, addresses).map((route) => `route del ${route}`),
  ];
  // With -force ip(8) goes on after an error and exits with 1; 255 when the device is gone.
  await run('ip', ['-force', '-batch', '-'], {
    input: `${lines.join('\n')}\n`,
    okCodes: [0, 1, 2, 255],
  });
}

/** Which of the job's addresses this host has already, and on which device. */
export async function presentAddresses(
  addresses: readonly InterfaceAddress[],
): Promise<{ address: string; device: string }[]> {
  const { stdout } = await run('ip', ['-j', 'addr', 'show']);
  const links = JSON.parse(stdout) as { ifname: string; addr_info?: { local?: string }[] }[];
  return links.flatMap(({ ifname, addr_info }) =>
    (addr_info ?? [])
      .filter(({ local }) => addresses.some(({ address }) => address === local))
      .map(({ local }) => ({ address: local ?? '', device: ifname })),
  );
}

/**
 * The device for the job's addresses: the one that was named, the one that reaches them, or the one
 * whose own address lies in the prefix that came with one of them. NETWORK_FAILED when none does.
 */
export async function chooseDevice(
  addresses: readonly InterfaceAddress[],
  wanted?: string,
): Promise<string> {
  if (wanted !== undefined) {
    const there = await run('ip', ['link', 'show', 'dev', wanted], { okCodes: [0, 1, 255] });
    if (there.exitCode === 0) return wanted;
    throw new MigrateError('NETWORK_FAILED', `this host has no device ${wanted}`, {
      hint: 'a job that was started with --dev needs a device of that name',
    });
  }
  const device = (await reachingDevice(addresses)) ?? (await neighbouringDevice(addresses));
  if (device !== undefined) return device;
  const list = addresses.map(({ address }) => address).join(', ');
  throw new MigrateError('NETWORK_FAILED', `no device of this host reaches ${list}`, {
    hint: 'name one with --dev',
  });
}

async function reachingDevice(addresses: readonly InterfaceAddress[]): Promise<string | undefined> {
  for (const { address, family } of addresses) {
    const get = [`-${family}`, '-j', 'route', 'get', address];
    const { stdout, exitCode } = await run('ip', get, { okCodes: [0, 1, 2] });
    const [route] = exitCode === 0 ? (JSON.parse(stdout) as { dev?: string }[]) : [];
    if (route?.dev !== undefined && route.dev !== 'lo') return route.dev;
  }
  return undefined;
}

async function neighbouringDevice(
  addresses: readonly InterfaceAddress[],
): Promise<string | undefined> {
  const { stdout } = await run('ip', ['-j', 'addr', 'show', 'up']);
  const links = JSON.parse(stdout) as { ifname: string; addr_info?: { local?: string }[] }[];
  const isNear = ({ local }: { local?: string }): boolean =>
    local !== undefined &&
    addresses.some(
      (address) =>
        parseInterfaceAddress(local).family === address.family &&
        networkOf(address) === networkOf({ ...address, address: local }),
    );
  return links.find(({ ifname, addr_info }) => ifname !== 'lo' && addr_info?.some(isNear))?.ifname;
}

export interface DeviceFacts {
  readonly device: string;
  readonly mac: string;
  /** It is an Ethernet whose neighbours answer for their addresses. */
  readonly canBeAsked: boolean;
  /** Addresses of the host itself on it, to which held packets can be sent on. */
  readonly v4?: string;
  readonly v6?: string;
}

/** What the other side must know about a device to send packets on to it. */
export async function deviceFacts(device: string): Promise<DeviceFacts> {
  const { stdout } = await run('ip', ['-j', 'addr', 'show', 'dev', device]);
  const [link] = JSON.parse(stdout) as {
    address: string;
    link_type: string;
    flags: string[];
    addr_info?: { family: string; local: string; scope: string; prefixlen: number }[];
  }[];
  // A single host address may be a job's, which moves; the host's own have a network.
  const first = (family: string, scope: string, single: number): string | undefined =>
    link?.addr_info?.find(
      (info) => info.family === family && info.scope === scope && info.prefixlen !== single,
    )?.local;
  const v4 = first('inet', 'global', 32);
  const v6 = first('inet6', 'link', 128) ?? first('inet6', 'global', 128);
  return {
    device,
    mac: link?.address ?? '',
    canBeAsked:
      link?.link_type === 'ether' && link.flags.includes('UP') && !link.flags.includes('NOARP'),
    ...(v4 === undefined ? {} : { v4 }),
    ...(v6 === undefined ? {} : { v6 }),
  };
}

async function missingPrefixes(identity: L3Identity): Promise<InterfaceAddress[]> {
  const missing: InterfaceAddress[] = [];
  for (const address of identity.addresses) {
    if (address.prefix === hostPrefix(address.family)) continue;
    const covering = await run('ip', [
      `-${address.family}`,
      ...['-j', 'route', 'show', 'dev', identity.device, 'match', networkOf(address)],
    ]);
    const onLink = (
      JSON.parse(covering.stdout || '[]') as { gateway?: string; dst: string; protocol?: string }[]
    ).filter(
      ({ gateway, dst, protocol }) =>
        gateway === undefined && dst !== 'default' && protocol !== String(routeProtocol),
    );
    if (onLink.length === 0) missing.push(address);
  }
  return missing;
}

/**
 * Once for all addresses of a prefix: the way into it, and its broadcast address, which a host
 * knows of the prefixes of its own addresses only and would take for a neighbour's.
 */
function routesFor(identity: L3Identity, addresses: readonly InterfaceAddress[]): string[] {
  const [, b = 0, c = 0, d = 0] = identity.loopback4.split('.').map(Number);
  const metric = 0x100_0000 + (b & 0x7f) * 65_536 + c * 256 + d;
  const rest = `dev ${identity.device} scope link proto ${routeProtocol} metric ${metric}`;
  const routes = addresses.flatMap((address) => {
    const broadcast = broadcastOf(address);
    return [
      `${networkOf(address)} ${rest}`,
      ...(broadcast === undefined ? [] : [`broadcast ${broadcast} ${rest} table local`]),
    ];
  });
  return [...new Set(routes)];
}
