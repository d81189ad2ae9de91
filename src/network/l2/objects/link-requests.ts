import { attributeBytes, nestedFlag } from '../../netlink/attributes.ts';
import type { LinkNames } from '../../netlink/codec.ts';
import { isSame } from '../compact.ts';
import type { LinkData } from '../kinds/kind.ts';
import { kindOf } from '../kinds/kind-of.ts';
import type { Request } from '../section.ts';
import { addrGenModes, type Link } from './link.ts';
import { altName, linkAttributes } from './link-attributes.ts';

type Values = Parameters<typeof linkAttributes.encode>[0];

const messages = {
  create: 16,
  remove: 17,
  set: 19,
  addProperty: 108,
  removeProperty: 109,
} as const;
/** NLM_F_CREATE and NLM_F_EXCL. */
const createFlags = 0x400 | 0x200;
const excl = 0x200;
const headerBytes = 16;
const bits = { up: 0x1, noArp: 0x80, promisc: 0x100, allMulti: 0x200, multicast: 0x1000 } as const;
/** IFLA_PROP_LIST and IFLA_ALT_IFNAME. */
const properties = { list: 52, altName: 53 } as const;
/** VETH_INFO_PEER of include/uapi/linux/veth.h. */
const vethPeer = 1;
const dormantMode = 1;

/** How a device comes to be whose parent or other end is the host's. */
export interface OutsidePlace {
  /** An open file of the namespace that the device goes to. */
  readonly namespaceFd: number;
  /** macvlan and its like: the host's device. */
  readonly parent?: string;
  /** veth: the name of the host's end. */
  readonly hostEnd?: string;
}

/**
 * Makes a device, down; `names` are those of the namespace that the message is sent in: with a
 * `place` the host's. Of a veth pair the other end is made with it.
 */
export function createLink(link: Link, names: LinkNames, other?: Link | OutsidePlace): Request {
  const place = other !== undefined && 'namespaceFd' in other ? other : undefined;
  if (link.kind === 'veth') return createPair(link, names, other);
  const parent = place === undefined ? link.parent : place.parent;
  const kind = kindOf(link.kind);
  const first = kind?.stages?.(link.data ?? {}).first ?? link.data ?? {};
  const values = {
    ...birthValues(link),
    link: parent === undefined ? undefined : names.indexOf(parent),
    netnsFd: place?.namespaceFd,
    info: { kind: link.kind, data: kind?.data?.encode(first, names) },
  };
  return message(messages.create, createFlags, link.index, values, names);
}

export function removeLink(index: number, names: LinkNames): Request {
  return message(messages.remove, 0, index, {}, names);
}

/** Makes the device that has the number `index` what `wanted` says in those `keys`. */
export function changeLink(
  wanted: Link,
  found: { readonly index: number; readonly link: Link },
  keys: readonly (keyof Link)[],
  names: LinkNames,
): Request[] {
  const { index } = found;
  const values: Values = Object.assign({}, ...keys.map((key) => changeOf(key, wanted, names)));
  const flagKeys = keys.filter((key) => key in flagBits) as (keyof typeof flagBits)[];
  const mask = flagKeys.reduce((sum, key) => sum | flagBits[key], 0);
  const flags = flagKeys.reduce((sum, key) => sum | (isSet(wanted, key) ? flagBits[key] : 0), 0);
  const isPlain = Object.keys(values).length > 0 || mask !== 0;
  return [
    ...(isPlain ? [message(messages.set, 0, index, values, names, { flags, mask })] : []),
    ...(keys.includes('data') ? dataRequests(wanted, found, names) : []),
    ...(keys.includes('altNames') ? altNameRequests(wanted, found.link, index, names) : []),
  ];
}

/** Lowers the MTU of a device that was just made, whatever number it got. */
export function lowerLink({ name, mtu }: Link, names: LinkNames): Request {
  return message(messages.set, 0, undefined, { name, mtu }, names);
}

/** `noMulticast` is the absence of its bit. */
const flagBits = {
  up: bits.up,
  noArp: bits.noArp,
  promiscuous: bits.promisc,
  allMulticast: bits.allMulti,
  noMulticast: bits.multicast,
} as const;

function isSet(link: Link, key: keyof typeof flagBits): boolean {
  return key === 'noMulticast' ? link.noMulticast !== true : link[key] === true;
}

/** Keys whose attribute has the same name and takes the value as it is. */
const sameKeys = [
  'mac',
  'broadcast',
  'mtu',
  'txQueueLength',
  'group',
  'gsoMaxSize',
  'gsoMaxSegs',
  'groMaxSize',
  'gsoIpv4MaxSize',
  'groIpv4MaxSize',
] as const;

function changeOf(key: keyof Link, wanted: Link, names: LinkNames): Values {
  const same = sameKeys.find((one) => one === key);
  if (same !== undefined) return wanted[same] === undefined ? {} : { [same]: wanted[same] };
  switch (key) {
    case 'alias':
      return { alias: wanted.alias ?? '' };
    case 'master':
      return { master: wanted.master === undefined ? 0 : names.indexOf(wanted.master) };
    case 'dormant':
      return { linkMode: wanted.dormant ? dormantMode : 0 };
    case 'protoDown':
      return { protoDown: wanted.protoDown ? 1 : 0 };
    case 'addrGenMode': {
      const mode = addrGenModes.indexOf(wanted.addrGenMode ?? 'eui64');
      return { families: { inet6: { addrGenMode: mode } } };
    }
    case 'token':
      return { families: { inet6: { token: wanted.token ?? '::' } } };
    default:
      return {};
  }
}

/**
 * Only RTM_NEWLINK hears of what is special about a kind: do_setlink of rtnetlink.c takes it and
 * does nothing. What changes by itself has a message of its own: a bond refuses an active port
 * whose carrier it has not seen yet, and with it all that stands in the message.
 */
function dataRequests(
  wanted: Link,
  found: { readonly index: number; readonly link: Link },
  names: LinkNames,
): Request[] {
  const { kind } = wanted;
  const { data, custom } = kindOf(kind) ?? {};
  // A driver with ways of its own refuses to hear of its kind at all (tun_validate in tun.c).
  if (data === undefined || custom?.make !== undefined) return [];
  const { steady, moving } = changedData(wanted, found.link);
  return [steady, moving]
    .filter((said) => Object.keys(said).length > 0)
    .map((said) => {
      const info = { kind, data: data.encode(said, names) };
      return message(messages.create, 0, found.index, { info }, names);
    });
}

/**
 * Kinds that take their settings one by one are told what differs, since some are refused while
 * the device is up; tunnels take a setting that is not said for none (ip_tunnel.c), so they get
 * all. `moving` are those that change by themselves.
 */
function changedData(
  { kind, data = {} }: Link,
  found: Link,
): { readonly steady: LinkData; readonly moving: LinkData } {
  const { fixed = [], stages, compared } = kindOf(kind) ?? {};
  const entries = Object.entries(data).filter(([name, value]) => {
    if (fixed.includes(name)) return false;
    return stages === undefined || !isSame(value, found.data?.[name]);
  });
  const steadyKeys = Object.keys(compared?.(data) ?? data);
  const pick = (isSteady: boolean) =>
    Object.fromEntries(entries.filter(([name]) => steadyKeys.includes(name) === isSteady));
  return { steady: pick(true), moving: pick(false) };
}

/** What is said about a port goes to it, under the kind of its master. */
export function changePort(
  wanted: Link,
  index: number,
  masterKind: string,
  names: LinkNames,
): Request {
  const slaveData = kindOf(masterKind)?.port?.encode(wanted.port ?? {}, names);
  const info = { slaveKind: masterKind, slaveData };
  return message(messages.create, 0, index, { info }, names);
}

function createPair(link: Link, names: LinkNames, other: Link | OutsidePlace | undefined): Request {
  const place = other !== undefined && 'namespaceFd' in other ? other : undefined;
  const peer = other !== undefined && 'name' in other ? other : undefined;
  const [outer, inner] = place === undefined ? [link, peer] : [undefined, link];
  const innerValues =
    inner === undefined
      ? { name: link.peer }
      : { ...birthValues(inner), netnsFd: place?.namespaceFd };
  const info = {
    kind: 'veth',
    data: attributeBytes(
      vethPeer | nestedFlag,
      Buffer.concat([header(inner?.index), linkAttributes.encode(innerValues, names)]),
    ),
  };
  const outerValues =
    outer === undefined
      ? { name: place?.hostEnd, mtu: link.mtu, info }
      : { ...birthValues(outer), info };
  return message(messages.create, createFlags, outer?.index, outerValues, names);
}

/** IPV6_MIN_MTU of include/uapi/linux/ipv6.h. */
const ipv6MtuMin = 1280;

/**
 * Its MTU is too small for IPv6. IPv6 leaves a device whose MTU becomes so (NETDEV_CHANGEMTU in
 * addrconf.c), but stays on tunnels that are made so (ip6gre_newlink_common sets it without a
 * word): such a device is lowered once it is made.
 */
export function lostIpv6({ mtu, addrGenMode }: Link): boolean {
  return mtu < ipv6MtuMin && addrGenMode === undefined;
}

/**
 * It has IPv6 in spite of its MTU, which the device below brought down without a word
 * (ipvlan_adjust_mtu): it is made with the MTU of that one, which is lowered afterwards.
 */
export function keptIpv6({ kind, mtu, addrGenMode }: Link): boolean {
  return /^ipv(lan|tap)$/.test(kind) && mtu < ipv6MtuMin && addrGenMode !== undefined;
}

/** What can only be said when a device is made, and what is better said then. */
function birthValues(link: Link): Values {
  return {
    name: link.name,
    mac: link.mac === '' ? undefined : link.mac,
    mtu: lostIpv6(link) || keptIpv6(link) ? undefined : link.mtu,
    txQueueLength: link.txQueueLength,
    group: link.group,
    txQueues: link.txQueues,
    rxQueues: link.rxQueues,
  };
}

function altNameRequests(wanted: Link, found: Link, index: number, names: LinkNames): Request[] {
  const [want, have] = [wanted.altNames ?? [], found.altNames ?? []];
  const requestOf = (type: number, flags: number, all: readonly string[]): Request[] => {
    if (all.length === 0) return [];
    const items = all.map((one) => attributeBytes(properties.altName, altName.encode(one, names)));
    const list = attributeBytes(properties.list | nestedFlag, Buffer.concat(items));
    return [{ type, flags, body: Buffer.concat([header(index), list]) }];
  };
  return [
    ...requestOf(
      messages.removeProperty,
      0,
      have.filter((one) => !want.includes(one)),
    ),
    ...requestOf(
      messages.addProperty,
      createFlags | excl,
      want.filter((one) => !have.includes(one)),
    ),
  ];
}

function message(
  type: number,
  flags: number,
  index: number | undefined,
  values: Values,
  names: LinkNames,
  change: { readonly flags: number; readonly mask: number } = { flags: 0, mask: 0 },
): Request {
  const bytes = header(index);
  bytes.writeUInt32LE(change.flags, 8);
  bytes.writeUInt32LE(change.mask, 12);
  return { type, flags, body: Buffer.concat([bytes, linkAttributes.encode(values, names)]) };
}

/** struct ifinfomsg; without a number the kernel gives the next one. */
function header(index = 0): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeInt32LE(index, 4);
  return bytes;
}
