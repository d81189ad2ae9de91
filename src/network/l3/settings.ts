import { z } from 'zod';
import { run } from '../../host/run.ts';
import { addressBytes, hostPrefix, type InterfaceAddress } from '../address.ts';
import { ownAddressesMax } from './programs.ts';

const ipAddress = z.union([z.ipv4(), z.ipv6()]);
/** Seconds; left out is forever (INFINITY_LIFE_TIME, include/net/addrconf.h). */
const lifetime = z.number().int().min(0).max(0xffff_fffe).optional();

/**
 * What an address has on its host besides itself, as somebody may have set it with ip-address(8).
 * The flags that are missing here are no settings: the kernel gives `temporary` to the addresses
 * that it makes by itself and takes it from nobody (inet6_rtm_newaddr, net/ipv6/addrconf.c), does
 * not give `secondary` to single addresses, refuses `mngtmpaddr` for them, and `tentative`,
 * `optimistic` and `dadfailed` are states of a test that a moved address does not take.
 */
export const addressSettingsSchema = z.strictObject({
  address: ipAddress,
  /** RTN scope: 0 global, 253 link, 254 host; IPv4 only, IPv6 addresses carry theirs. */
  scope: z.number().int().min(0).max(254),
  /** What follows the device's name in the label, `:web` in `eth0:web`. */
  label: z
    .string()
    .regex(/^[A-Za-z0-9_.:-]{1,14}$/)
    .optional(),
  broadcast: z.ipv4().optional(),
  metric: z.number().int().positive().max(0xffff_ffff).optional(),
  flags: z.array(z.enum(['home', 'noprefixroute'])).max(2),
  validSeconds: lifetime,
  /** 0: deprecated, the host does not choose it as a source by itself. */
  preferredSeconds: lifetime,
});
export type AddressSettings = z.infer<typeof addressSettingsSchema>;

/** Of both families: the filter keeps `ownAddressesMax` of each. */
export const addressSettingsList = z.array(addressSettingsSchema).max(2 * ownAddressesMax);

/**
 * What of an l3 job's network is in its bundle, as the document of the `network` section: a file
 * has nothing else that would say it.
 */
export const l3DocumentSchema = z.strictObject({
  version: z.literal(1),
  kind: z.literal('l3'),
  addresses: addressSettingsList,
  /** What its processes may do beyond the promise of an address. */
  allow: z
    .array(z.enum(['raw']))
    .min(1)
    .max(1)
    .optional(),
});
export type L3Document = z.infer<typeof l3DocumentSchema>;

/** What an address gets that comes without settings; identity.ts says why IPv6 is deprecated. */
export function settingsFor(
  { address, family }: InterfaceAddress,
  known: readonly AddressSettings[] = [],
): AddressSettings {
  const found = known.find((one) => isSame(one.address, address));
  if (found !== undefined) return found;
  return { address, scope: 0, flags: [], ...(family === 6 ? { preferredSeconds: 0 } : {}) };
}

/** What `ip -batch` has to be told after `addr add`. */
export function settingsWords(settings: AddressSettings, device: string): string {
  const { address, scope, label, broadcast, metric, flags } = settings;
  const isV4 = !address.includes(':');
  const of = (name: string, value: string | number | undefined): string[] =>
    value === undefined ? [] : [`${name} ${value}`];
  return [
    `${address}/${hostPrefix(isV4 ? 4 : 6)} dev ${device}`,
    ...(isV4 ? of('scope', scope) : ['nodad']),
    ...of('label', label === undefined ? undefined : device + label),
    ...of('broadcast', broadcast),
    ...of('metric', metric),
    ...flags,
    // The kernel refuses a preferred time that is longer than the valid one, also in between.
    ...of('valid_lft', settings.validSeconds),
    ...of('preferred_lft', settings.preferredSeconds ?? settings.validSeconds),
  ].join(' ');
}

/** One address as `ip -j -N addr show` tells it. */
interface SeenAddress {
  readonly local?: string;
  readonly prefixlen: number;
  readonly scope: string;
  readonly label?: string;
  readonly broadcast?: string;
  readonly metric?: number;
  readonly home?: boolean;
  readonly noprefixroute?: boolean;
  readonly tentative?: boolean;
  readonly dadfailed?: boolean;
  readonly valid_life_time: number;
  readonly preferred_life_time: number;
}

export interface SeenSettings extends AddressSettings {
  readonly prefix: number;
  /** The kernel does not use it, or not yet: duplicate address detection. */
  readonly isTentative: boolean;
}

/**
 * What the single addresses of some devices have, in the order of the devices; one that an
 * administrator has put there with a network of its own is not the job's and is left out.
 */
export async function readSettings(devices: readonly string[]): Promise<SeenSettings[][]> {
  const script = devices.map((device) => `addr show dev ${device}\n`).join('');
  const { stdout } = await run('ip', ['-j', '-N', '-batch', '-'], { input: script });
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('['))
    .map((line, index) => settingsIn(line, devices[index] ?? ''));
}

/** What a job's addresses have on its device, to be had on another one; of those that are there. */
export async function captureSettings(
  device: string,
  addresses: readonly InterfaceAddress[],
): Promise<AddressSettings[]> {
  const [seen = []] = await readSettings([device]);
  return addresses.flatMap(({ address, family }) => {
    const found = seen.find((one) => isSame(one.address, address));
    if (found?.prefix !== hostPrefix(family)) return [];
    const { prefix: _prefix, isTentative: _isTentative, ...settings } = found;
    return [{ ...settings, address }];
  });
}

export function isSame(one: string, other: string): boolean {
  return addressBytes(one).equals(addressBytes(other));
}

function settingsIn(json: string, device: string): SeenSettings[] {
  const links = JSON.parse(json) as { addr_info?: SeenAddress[] }[];
  return links.flatMap(({ addr_info }) =>
    (addr_info ?? []).flatMap((seen) =>
      seen.local === undefined ? [] : [settingsOf(seen, device)],
    ),
  );
}

function settingsOf(seen: SeenAddress, device: string): SeenSettings {
  const { label, broadcast, metric } = seen;
  const isLabelled = label !== undefined && label !== device && label.startsWith(device);
  const flags = (['home', 'noprefixroute'] as const).filter((flag) => seen[flag] === true);
  const valid = seconds(seen.valid_life_time);
  const preferred = seconds(seen.preferred_life_time);
  return {
    address: seen.local ?? '',
    prefix: seen.prefixlen,
    scope: seen.local?.includes(':') === true ? 0 : Number(seen.scope),
    flags,
    isTentative: seen.tentative === true || seen.dadfailed === true,
    ...(isLabelled ? { label: label.slice(device.length) } : {}),
    ...(broadcast === undefined ? {} : { broadcast }),
    ...(metric === undefined ? {} : { metric }),
    ...(valid === undefined ? {} : { validSeconds: valid }),
    ...(preferred === undefined ? {} : { preferredSeconds: preferred }),
  };
}

/** iproute2 prints the kernel's INFINITY_LIFE_TIME as a number. */
function seconds(lifetime: number): number | undefined {
  return lifetime === 0xffff_ffff ? undefined : lifetime;
}
