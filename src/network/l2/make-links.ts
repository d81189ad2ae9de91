import { MigrateError } from '../../base/errors.ts';
import { breath } from '../../host/clock.ts';
import type { NetlinkAnswer } from '../../host/netlink.ts';
import type { Reading } from '../netlink/codec.ts';
import type { NetlinkSpace } from '../netlink/space.ts';
import { isSame } from './compact.ts';
import { isFallbackDevice } from './kinds/fallback.ts';
import { kindOf } from './kinds/kind-of.ts';
import { offloadRequest } from './kinds/offloads.ts';
import type { Link } from './objects/link.ts';
import { type FoundLink, readLinks } from './objects/link-read.ts';
import {
  changeLink,
  changePort,
  createLink,
  keptIpv6,
  lostIpv6,
  lowerLink,
  type OutsidePlace,
  removeLink,
} from './objects/link-requests.ts';
import type { Request } from './section.ts';
import { sendAll } from './send.ts';

/** How the devices that hang on the host come to be, by their names. */
export type OutsidePlaces = ReadonlyMap<string, OutsidePlace>;

/**
 * Links that need each other in an order in which each finds what it needs: parents, masters and
 * other ends first. Throws PLAN_REFUSED for a ring. Pure.
 */
function birthOrder(links: readonly Link[]): Link[] {
  const byName = new Map(links.map((link) => [link.name, link]));
  const ordered = new Set<Link>();
  const open = new Set<Link>();
  const visit = (link: Link): void => {
    if (ordered.has(link)) return;
    if (open.has(link)) {
      throw new MigrateError('PLAN_REFUSED', `device ${link.name} is nested in itself`);
    }
    open.add(link);
    for (const name of needsOf(link)) {
      const needed = byName.get(name);
      if (needed !== undefined && needed !== link) visit(needed);
    }
    open.delete(link);
    ordered.add(link);
  };
  for (const link of links) visit(link);
  return [...ordered];
}

function needsOf({ parent, data }: Link): string[] {
  const below = data?.link;
  return [parent, typeof below === 'string' ? below : undefined].filter(
    (name) => name !== undefined,
  );
}

/** Makes the devices that are missing, removes what is not wanted, all of it down. */
export async function createLinks(
  wanted: readonly Link[],
  spaces: { readonly inside: NetlinkSpace; readonly host: NetlinkSpace },
  places: OutsidePlaces,
): Promise<void> {
  const { inside, host } = spaces;
  const names = new Set(wanted.map(({ name }) => name));
  const present = readLinks(inside, silent(inside));
  const unwanted = present.filter(
    ({ link }) =>
      !names.has(link.name) && link.kind !== 'lo' && !isFallbackDevice(link.name, link.kind),
  );
  fulfil(
    inside,
    unwanted.map(({ index }) => removeLink(index, inside.names)),
    'a device',
  );
  const there = new Set(present.map(({ link }) => link.name));
  const byName = new Map(wanted.map((link) => [link.name, link]));
  let isNumbered = true;
  for (const link of birthOrder(wanted)) {
    if (there.has(link.name) || link.kind === 'lo') continue;
    const peer = byName.get(link.peer ?? '');
    if (peer !== undefined && there.has(peer.name)) continue;
    // The numbers of all devices are a dump of all devices: asked for only where one is needed.
    if (!isNumbered && needsOf(link).length > 0) {
      inside.refreshNames();
      isNumbered = true;
    }
    make(link, peer, { inside, host }, places.get(link.name));
    lower([link, peer ?? []].flat(), wanted, inside);
    there.add(link.name);
    if (peer !== undefined) there.add(peer.name);
    isNumbered = false;
    await breath();
  }
  inside.refreshNames();
}

function make(
  link: Link,
  peer: Link | undefined,
  { inside, host }: { readonly inside: NetlinkSpace; readonly host: NetlinkSpace },
  place: OutsidePlace | undefined,
): void {
  const custom = kindOf(link.kind)?.custom;
  if (custom?.make !== undefined) {
    custom.make(inside, { name: link.name, data: link.data ?? {} });
    return;
  }
  if (link.outside && place === undefined) {
    throw new MigrateError('NETWORK_FAILED', `nothing says where on this host ${link.name} goes`);
  }
  const space = place === undefined ? inside : host;
  const attempt = (one: Link) =>
    space.socket('route').send([createLink(one, space.names, place ?? peer)])[0];
  let answer = attempt(link);
  // A fallback device of this kernel may have the number; a name is what most programs keep.
  if (answer?.error === 'EEXIST' || answer?.error === 'EBUSY') {
    answer = attempt({ ...link, index: undefined });
  }
  if (answer?.error !== undefined) throw refused(`device ${link.name} (${link.kind})`, answer);
  if (place?.hostEnd !== undefined) raiseHostEnd(place.hostEnd, host);
}

/**
 * Before anything is put on top, which an ipvlan device would be with IPv6 and keep it; not before
 * one that has kept it. What is refused now is asked for again with all else.
 */
function lower(made: readonly Link[], wanted: readonly Link[], inside: NetlinkSpace): void {
  const isNeeded = ({ name }: Link) =>
    wanted.some((link) => link.parent === name && keptIpv6(link));
  const low = made.filter((link) => lostIpv6(link) && !isNeeded(link));
  if (low.length === 0) return;
  inside.socket('route').send(low.map((link) => lowerLink(link, inside.names)));
}

/**
 * Up, so that the end inside has a carrier and its IPv6 addresses can be bound; on no bridge, so
 * that no frame leaves it. It needs no address of its own, and must not ask for one on the wire.
 */
function raiseHostEnd(name: string, host: NetlinkSpace): void {
  host.refreshNames();
  const found = readLinks(host, silent(host)).find(({ link }) => link.name === name);
  if (found === undefined) return;
  const quiet = { ...found.link, addrGenMode: 'none' as const, up: true };
  const keys = found.link.addrGenMode === undefined ? [] : ['addrGenMode' as const];
  fulfil(
    host,
    [
      ...changeLink(quiet, found, keys, host.names),
      ...changeLink(quiet, found, ['up'], host.names),
    ],
    name,
  );
}

/** Which of a device's properties are settled; what brings addresses to life comes last. */
export type LinkStage = 'down' | 'up' | 'done';

/** Not said by a document that leaves it open, or not to be changed. */
const ownKeys: readonly (keyof Link)[] = ['name', 'kind', 'index', 'peer', 'parent', 'outside'];
const lateKeys: readonly (keyof Link)[] = ['addrGenMode', 'token'];

/**
 * One round of making devices, as they were read, what they should be; settled when nothing was to
 * be done. Its requests may fail while another device is not what it should be: the next round
 * tries again.
 */
export function settleLinks(
  wanted: readonly Link[],
  space: NetlinkSpace,
  stage: LinkStage,
  present: readonly FoundLink[],
): { readonly settled: boolean; readonly failure?: string } {
  const found = new Map(present.map((one) => [one.link.name, one]));
  const requests = birthOrder(wanted).flatMap((link) => {
    const have = found.get(link.name);
    return have === undefined ? [] : requestsFor(link, have, found, space, stage);
  });
  if (requests.length === 0) return { settled: true };
  const answers = sendAll(space, requests);
  const failed = answers.find(({ error }) => error !== undefined);
  return failed === undefined
    ? { settled: false }
    : { settled: false, failure: failed.reason ?? failed.error ?? '' };
}

function requestsFor(
  link: Link,
  have: FoundLink,
  found: ReadonlyMap<string, FoundLink>,
  space: NetlinkSpace,
  stage: LinkStage,
): Request[] {
  const masterKind = found.get(link.master ?? '')?.link.kind;
  const staged = stageOf(link, have.link, stage, masterKind ?? '');
  const keys = differingKeys(staged, have.link);
  const isPort = masterKind !== undefined && link.master === have.link.master;
  const custom = kindOf(link.kind)?.custom;
  return [
    ...changeLink(staged, have, keys, space.names),
    ...(isPort && keys.includes('port')
      ? [changePort(staged, have.index, masterKind, space.names)]
      : []),
    ...(keys.includes('offloads')
      ? [offloadRequest(space, link, link.offloads, have.link.offloads)].flatMap((one) => one ?? [])
      : []),
    ...(keys.includes('data') && custom?.requests !== undefined
      ? custom.requests(space, { name: link.name, data: link.data ?? {} })
      : []),
  ];
}

/**
 * What a device should be at a stage: down and without addresses of its own making at first, what
 * names other ports only when all is up.
 */
function stageOf(wanted: Link, found: Link, stage: LinkStage, masterKind: string): Link {
  if (stage === 'done') return wanted;
  const early = kindOf(wanted.kind)?.stages?.(wanted.data ?? {});
  const quiet = {
    ...wanted,
    addrGenMode: found.addrGenMode === undefined ? undefined : ('none' as const),
    token: found.token,
    data:
      early === undefined
        ? wanted.data
        : { ...early.first, ...kept(found.data, Object.keys(early.last)) },
    port: { ...wanted.port, ...kept(found.port, kindOf(masterKind)?.latePort ?? []) },
  };
  const { port, ...plain } = quiet;
  const staged = wanted.port === undefined ? plain : { ...plain, port };
  return stage === 'up' ? staged : { ...staged, up: wanted.kind === 'lo' ? found.up : false };
}

function kept(data: Link['data'], keys: readonly string[]): Link['data'] {
  return Object.fromEntries(Object.entries(data ?? {}).filter(([key]) => keys.includes(key)));
}

/** The keys in which two devices differ; what `wanted` leaves open is not compared. */
export function differingKeys(wanted: Link, found: Link): (keyof Link)[] {
  const keys = [...new Set([...Object.keys(wanted), ...Object.keys(found)])] as (keyof Link)[];
  return keys.filter((key) => {
    if (ownKeys.includes(key)) return false;
    const isOpen = wanted[key] === undefined && (key === 'mac' || lateKeys.includes(key));
    return !isOpen && !isSame(comparable(wanted, key), comparable(found, key));
  });
}

/** Some of what a kind says changes by itself. */
function comparable(link: Link, key: keyof Link): unknown {
  const { kind, data } = link;
  if (key !== 'data' || data === undefined) return link[key];
  return kindOf(kind)?.compared?.(data) ?? data;
}

function fulfil(space: NetlinkSpace, requests: readonly Request[], what: string): void {
  const failed = space
    .socket('route')
    .send(requests)
    .find(({ error }) => error !== undefined);
  if (failed !== undefined) throw refused(what, failed);
}

function refused(what: string, { error, reason }: NetlinkAnswer): MigrateError {
  return new MigrateError('NETWORK_FAILED', `${what}: ${reason ?? error ?? 'refused'}`);
}

/** For what was read once already, and said then what is not known. */
export function silent(space: NetlinkSpace): Reading {
  return { names: space.names, unknown: new Set() };
}
