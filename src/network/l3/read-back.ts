import { hostPrefix } from '../address.ts';
import type { L3Identity } from './identity.ts';
import {
  type AddressSettings,
  isSame,
  readSettings,
  type SeenSettings,
  settingsFor,
} from './settings.ts';

/** Seconds that may have run off a lifetime between writing and reading it. */
const lifetimeSlackSeconds = 2;

/**
 * What the kernel has of an identity that was just added, against what was asked for: one line for
 * each difference, none when all arrived. NETWORK_FAILED when it cannot be read.
 */
export async function readBackIdentity(identity: L3Identity): Promise<string[]> {
  const { device, addresses, loopback6, settings } = identity;
  const [onDevice = [], onLoopback = []] = await readSettings([device, 'lo']);
  const loopback = { address: loopback6, family: 6, prefix: 128 } as const;
  return [
    ...addresses.flatMap((one) => differencesOf(settingsFor(one, settings), device, onDevice)),
    ...differencesOf(settingsFor(loopback), 'lo', onLoopback),
  ];
}

function differencesOf(
  wanted: AddressSettings,
  device: string,
  seen: readonly SeenSettings[],
): string[] {
  const { address } = wanted;
  const single = hostPrefix(address.includes(':') ? 6 : 4);
  const there = seen.filter((one) => isSame(one.address, address));
  const found = there.find(({ prefix }) => prefix === single) ?? there[0];
  if (found === undefined) return [`${address} is not on ${device}`];
  const wrong: string[] = [];
  if (found.prefix !== single) wrong.push(`has the prefix ${found.prefix}, not ${single}`);
  // It would keep the kernel from using it: we asked for no duplicate address detection.
  if (found.isTentative) wrong.push('is tentative');
  const preferred = wanted.preferredSeconds ?? wanted.validSeconds;
  return [
    ...wrong,
    ...unlike('scope', found.scope, wanted.scope),
    ...unlike('label', found.label, wanted.label),
    ...unlike('broadcast', found.broadcast, wanted.broadcast),
    ...unlike('metric', found.metric, wanted.metric),
    ...unlike('flags', found.flags.join(','), wanted.flags.join(',')),
    ...unlikeLifetime('valid_lft', found.validSeconds, wanted.validSeconds),
    ...unlikeLifetime('preferred_lft', found.preferredSeconds, preferred),
  ].map((what) => `${address} on ${device} ${what}`);
}

type Value = string | number | undefined;

function unlike(name: string, found: Value, wanted: Value): string[] {
  return found === wanted ? [] : [`has ${name} ${found || 'none'}, not ${wanted || 'none'}`];
}

function unlikeLifetime(
  name: string,
  found: number | undefined,
  wanted: number | undefined,
): string[] {
  const isNear =
    found !== undefined &&
    wanted !== undefined &&
    found <= wanted &&
    found >= wanted - lifetimeSlackSeconds;
  if (found === wanted || isNear) return [];
  return [`has ${name} ${found ?? 'forever'}, not ${wanted ?? 'forever'}`];
}
