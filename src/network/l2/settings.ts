import { MigrateError } from '../../base/errors.ts';
import { breath } from '../../host/clock.ts';
import { listFilesIn, readFilesIn, writeFilesIn } from '../../host/netns.ts';
import { findAttribute, forEachAttribute } from '../netlink/attributes.ts';
import type { NetlinkSpace } from '../netlink/space.ts';
import type { FoundLink } from './objects/link-read.ts';
import {
  commonKeys,
  deviceKeys,
  type FreshSysctls,
  isInherited,
  pickCommon,
  planSysctls,
  type Sysctls,
  sysctlRoot,
  unsetValue,
} from './sysctls.ts';

/**
 * The sysctls of a namespace that are carried: of the namespace what a new one has not, of a device
 * what differs from `default`. The files of one device are read for all that the kernel says to
 * have the same settings (IFLA_INET_CONF, IFLA_INET6_CONF, NDTA_PARMS): a file costs microseconds,
 * and each device has 130.
 */
export async function readSettings(
  space: NetlinkSpace,
  links: readonly FoundLink[],
  fresh: FreshSysctls,
): Promise<Sysctls> {
  const common = readKeys(space.path, commonKeys(fresh));
  const picked: Record<string, string> = { ...pickCommon(common, fresh) };
  const neighbourTables = readNeighbourParameters(space);
  const known = new Map<string, Differences>();
  for (const { link, index, settings } of links) {
    const name = `${settings} ${neighbourTables.get(index) ?? ''}`;
    const before = known.get(name);
    // On a slow host a device takes a good part of a second.
    if (before === undefined) await breath();
    const differing = before ?? readDevice(space.path, link.name, fresh, common);
    known.set(name, differing);
    for (const [head, tail, value] of differing) picked[`${head}${link.name}${tail}`] = value;
  }
  Object.assign(picked, readSecrets(space.path, links, common));
  return Object.fromEntries(Object.entries(picked).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * What stable addresses are made from: no two devices share one, it is in no message of the kernel,
 * and `default` has none that could be read. One of mode random is drawn at its first address.
 */
function readSecrets(
  netns: string,
  links: readonly FoundLink[],
  common: ReadonlyMap<string, string>,
): Sysctls {
  const owners = links.filter(({ link }) =>
    /^(random|stable_secret)$/.test(link.addrGenMode ?? ''),
  );
  const found = readKeys(
    netns,
    owners.map(({ link }) => `net/ipv6/conf/${link.name}/stable_secret`),
  );
  const standard = common.get('net/ipv6/conf/default/stable_secret');
  return Object.fromEntries([...found].filter(([, value]) => value !== standard));
}

/** Keys that `fresh` does not know, because a module was loaded since it was made. */
export function unknownSettings(space: NetlinkSpace, fresh: FreshSysctls): string[] {
  const directories = [...new Set(commonKeys(fresh).map((key) => key.replace(/\/[^/]+$/, '')))];
  const paths = directories.map((directory) => `${sysctlRoot}${directory}`);
  return listFilesIn(space.path, paths)
    .map((path) => path.slice(sysctlRoot.length))
    .filter((key) => !fresh.has(key));
}

/**
 * What was written changes others: `default` what a device's silence means, `all` the devices; and
 * of two values that bound each other (a low and a high mark) the second waits for the first.
 */
const roundsMax = 4;

/**
 * Makes a namespace's sysctls what is wanted. Throws NETWORK_FAILED with the names of those that
 * the kernel does not take; one that is carried only because a new namespace inherits it may lack.
 */
export async function writeSettings(
  space: NetlinkSpace,
  wanted: Sysctls,
  read: () => Promise<Sysctls>,
  fresh: FreshSysctls,
): Promise<void> {
  let refused: string[] = [];
  for (let round = 0; round < roundsMax; round += 1) {
    const plan = planSysctls(wanted, await read(), fresh);
    if (plan.length === 0) return;
    const errors = writeFilesIn(
      space.path,
      plan.map(([key, value]) => [`${sysctlRoot}${key}`, value]),
    );
    refused = plan.flatMap(([key], index) => {
      const error = errors[index];
      const mayLack = error === 'ENOENT' && isInherited(key);
      return error === undefined || mayLack ? [] : [`${key} (${error})`];
    });
  }
  if (refused.length === 0) return;
  throw new MigrateError(
    'NETWORK_FAILED',
    `the kernel did not take these sysctls: ${refused.join(', ')}`,
    { hint: 'The kernel of this host lacks them or bounds their values differently.' },
  );
}

/**
 * Where one device differs from what it would have unset: what stands before and behind its name,
 * and the value.
 */
type Differences = readonly (readonly [head: string, tail: string, value: string])[];

function readDevice(
  netns: string,
  device: string,
  fresh: FreshSysctls,
  common: ReadonlyMap<string, string>,
): Differences {
  const parts = deviceKeys(fresh);
  const keys = parts.map(([head, tail]) => `${head}${device}${tail}`);
  const values = readKeys(netns, keys);
  return parts.flatMap(([head, tail], index) => {
    const key = keys[index] ?? '';
    const value = values.get(key);
    const standard = unsetValue(key, common, fresh);
    const isOther = value !== undefined && standard !== undefined && standard !== value;
    return isOther ? [[head, tail, value] as const] : [];
  });
}

function readKeys(netns: string, keys: readonly string[]): Map<string, string> {
  const texts = readFilesIn(
    netns,
    keys.map((key) => `${sysctlRoot}${key}`),
  );
  return new Map(
    keys.flatMap((key, index) => {
      const text = texts[index]?.replace(/\n$/, '');
      // Of several lines are statistics and lists that no write takes back.
      return text === undefined || text.includes('\n') ? [] : [[key, text] as const];
    }),
  );
}

const getNeighbourTable = 66;
const tableHeaderBytes = 4;
const attributes = { parameters: 6, index: 1 } as const;
/** NDTPA_IFINDEX, NDTPA_REFCNT and NDTPA_REACHABLE_TIME, which is drawn at random. */
const volatile: readonly number[] = [1, 2, 3];

/** The neighbour parameters of each device, of both families, as one text. */
function readNeighbourParameters(space: NetlinkSpace): Map<number, string> {
  const request = { type: getNeighbourTable, body: Buffer.alloc(tableHeaderBytes) };
  const found = new Map<number, string>();
  for (const { body } of space.socket('route').dump(request, 'neighbour tables')) {
    const parameters = findAttribute(body.subarray(tableHeaderBytes), attributes.parameters);
    const index =
      parameters === undefined ? undefined : findAttribute(parameters, attributes.index);
    if (parameters === undefined || index === undefined) continue;
    const parts: string[] = [];
    forEachAttribute(parameters, (id, payload) => {
      if (!volatile.includes(id)) parts.push(`${id}:${payload.toString('hex')}`);
    });
    const key = index.readInt32LE(0);
    found.set(key, `${found.get(key) ?? ''} ${parts.join(' ')}`);
  }
  return found;
}
