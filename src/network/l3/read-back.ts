import { run } from '../../host/run.ts';
import { addressBytes, hostPrefix } from '../address.ts';
import type { L3Identity } from './identity.ts';

/** One address as `ip -j addr show` tells it. */
interface SeenAddress {
  readonly local?: string;
  readonly prefixlen?: number;
  readonly tentative?: boolean;
  readonly dadfailed?: boolean;
  readonly deprecated?: boolean;
}

/**
 * What the kernel has of an identity that was just added, against what was asked for: one line for
 * each difference, none when all arrived. NETWORK_FAILED when it cannot be read.
 */
export async function readBackIdentity(identity: L3Identity): Promise<string[]> {
  const { device, addresses, loopback6 } = identity;
  const script = `addr show dev ${device}\naddr show dev lo\n`;
  const { stdout } = await run('ip', ['-j', '-batch', '-'], { input: script });
  const [onDevice = [], onLoopback = []] = stdout
    .split('\n')
    .filter((line) => line.startsWith('['))
    .map(addressesOf);
  return [
    ...addresses.flatMap(({ address, family }) =>
      differencesOf(address, hostPrefix(family), device, onDevice),
    ),
    ...differencesOf(loopback6, hostPrefix(6), 'lo', onLoopback),
  ];
}

function addressesOf(json: string): SeenAddress[] {
  const links = JSON.parse(json) as { addr_info?: SeenAddress[] }[];
  return links.flatMap(({ addr_info }) => addr_info ?? []);
}

function differencesOf(
  address: string,
  prefix: number,
  device: string,
  seen: readonly SeenAddress[],
): string[] {
  const found = seen.find(({ local }) => local !== undefined && isSame(local, address));
  if (found === undefined) return [`${address} is not on ${device}`];
  const wrong: string[] = [];
  if (found.prefixlen !== prefix) wrong.push(`has the prefix ${found.prefixlen}, not ${prefix}`);
  // Both would keep the kernel from using it: we asked for no duplicate address detection.
  if (found.tentative === true || found.dadfailed === true) wrong.push('is tentative');
  if (prefix === hostPrefix(6) && found.deprecated !== true) wrong.push('is not deprecated');
  return wrong.map((what) => `${address} on ${device} ${what}`);
}

function isSame(one: string, other: string): boolean {
  return addressBytes(one).equals(addressBytes(other));
}
