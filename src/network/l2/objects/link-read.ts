import type { Reading } from '../../netlink/codec.ts';
import type { NetlinkSpace } from '../../netlink/space.ts';
import { compact } from '../compact.ts';
import { kindOf } from '../kinds/kind-of.ts';
import { readOffloads } from '../kinds/offloads.ts';
import { addrGenModes, type Link } from './link.ts';
import { linkAttributes } from './link-attributes.ts';

/** A device as it was read, and what of it is no part of a document. */
export interface FoundLink {
  readonly link: Link;
  readonly index: number;
  /** IFLA_LINK: the number of the device below or of the other end, in its own namespace. */
  readonly lower: number | undefined;
  /** IFLA_LINK_NETNSID: that namespace, if it is another. */
  readonly lowerNamespace: number | undefined;
  /** Equal where all sysctls of two devices are equal. */
  readonly settings: string;
  /** Why it cannot be carried. */
  readonly problem: { readonly message: string; readonly hint: string } | undefined;
}

const messages = { get: 18 } as const;
const headerBytes = 16;
/** ARPHRD_LOOPBACK of include/uapi/linux/if_arp.h. */
const loopbackType = 772;
/** IFF_* of include/uapi/linux/if.h. */
const bits = { up: 0x1, noArp: 0x80, promisc: 0x100, allMulti: 0x200, multicast: 0x1000 } as const;
const dormantMode = 1;
const allOnes = 'ff:ff:ff:ff:ff:ff';
/** What a device has when nobody has chosen otherwise (include/linux/netdevice.h). */
const standard = { gsoMaxSegs: 65_535, maxSize: 65_536 } as const;

/** All devices of a namespace, in the order of their numbers. */
export function readLinks(space: NetlinkSpace, reading: Reading): FoundLink[] {
  const body = Buffer.alloc(headerBytes);
  const found = space.socket('route').dump({ type: messages.get, body }, 'devices');
  const offloadsOf = readOffloads(space, reading);
  const all = found.map((message) => {
    const one = readLink(message.body, space, reading);
    const offloads = offloadsOf(one.link.name, one.link.kind);
    return offloads === undefined ? one : { ...one, link: { ...one.link, offloads } };
  });
  return resolvePeers(all).sort((a, b) => a.index - b.index);
}

function readLink(bytes: Buffer, space: NetlinkSpace, reading: Reading): FoundLink {
  const type = bytes.readUInt16LE(2);
  const index = bytes.readInt32LE(4);
  const flags = bytes.readUInt32LE(8);
  const has = (bit: number) => ((flags & bit) === 0 ? undefined : (true as const));
  const raw = linkAttributes.decode(bytes.subarray(headerBytes), reading);
  const { info, families } = raw;
  const name = raw.name ?? '';
  const kindName = type === loopbackType ? 'lo' : (info?.kind ?? 'none');
  const isHere = raw.linkNetnsId === undefined && (raw.link ?? 0) !== 0;
  const mode = families?.inet6?.addrGenMode;
  const unusual = (value: number | undefined, usual: number) =>
    value === usual || value === 0 ? undefined : value;
  const link: Link = compact({
    name,
    kind: kindName,
    index,
    mac: raw.mac,
    broadcast: raw.broadcast === allOnes ? undefined : raw.broadcast,
    mtu: possibleMtu(raw.mtu ?? 0, raw.maxMtu ?? 0),
    txQueueLength: raw.txQueueLength ?? 0,
    up: has(bits.up) === true,
    group: raw.group ?? 0,
    alias: raw.alias === '' ? undefined : raw.alias,
    altNames: raw.altNames,
    noArp: has(bits.noArp),
    noMulticast: (flags & bits.multicast) === 0 ? (true as const) : undefined,
    promiscuous: has(bits.promisc),
    allMulticast: has(bits.allMulti),
    dormant: raw.linkMode === dormantMode ? (true as const) : undefined,
    protoDown: raw.protoDown === 1 ? (true as const) : undefined,
    txQueues: unusual(raw.txQueues, 1),
    rxQueues: unusual(raw.rxQueues, 1),
    gsoMaxSize: unusual(raw.gsoMaxSize, standard.maxSize),
    gsoMaxSegs: unusual(raw.gsoMaxSegs, standard.gsoMaxSegs),
    groMaxSize: unusual(raw.groMaxSize, standard.maxSize),
    gsoIpv4MaxSize: unusual(raw.gsoIpv4MaxSize, standard.maxSize),
    groIpv4MaxSize: unusual(raw.groIpv4MaxSize, standard.maxSize),
    addrGenMode: mode === undefined ? undefined : addrGenModes[mode],
    token: families?.inet6?.token === '::' ? undefined : families?.inet6?.token,
    parent: isHere ? reading.names.nameOf(raw.link ?? 0) : undefined,
    master: raw.master === undefined ? undefined : reading.names.nameOf(raw.master),
    outside: raw.linkNetnsId === undefined ? undefined : (true as const),
    data: dataOf(kindName, { name, index }, info?.data, space, reading),
    port:
      info?.slaveData === undefined
        ? undefined
        : kindOf(info.slaveKind ?? '')?.port?.decode(info.slaveData, reading),
  });
  return {
    link,
    index,
    lower: raw.link === 0 ? undefined : raw.link,
    lowerNamespace: raw.linkNetnsId,
    settings: `${families?.inet?.conf?.toString('base64')} ${families?.inet6?.conf?.toString('base64')}`,
    problem: problemOf(link, raw.parentDevice),
  };
}

/**
 * A tunnel that was made on lo has an MTU, of the kernel's own making, of one byte more than it
 * takes from anybody (vti6_link_config). What cannot be asked for is not said. No maximum is 0.
 */
function possibleMtu(mtu: number, max: number): number {
  return max === 0 ? mtu : Math.min(mtu, max);
}

function dataOf(
  kindName: string,
  link: { readonly name: string; readonly index: number },
  data: Buffer | undefined,
  space: NetlinkSpace,
  reading: Reading,
): Link['data'] {
  const kind = kindOf(kindName);
  const plain = data === undefined ? undefined : kind?.data?.decode(data, reading);
  const own = kind?.custom?.read?.(space, link, reading);
  return plain === undefined && own === undefined ? undefined : { ...plain, ...own };
}

/** Two veth ends of one namespace have each other as `parent`: that is no nesting. */
function resolvePeers(all: readonly FoundLink[]): FoundLink[] {
  return all.map((found) => {
    const { parent, ...link } = found.link;
    if (link.kind !== 'veth' || parent === undefined) return found;
    return { ...found, link: { ...link, peer: parent } };
  });
}

function problemOf({ name, kind, data }: Link, bus: string | undefined): FoundLink['problem'] {
  if (kind === 'lo') return undefined;
  const known = kindOf(kind);
  if (known !== undefined) {
    const problem = known.problem?.(data ?? {});
    return problem === undefined
      ? undefined
      : { message: `${name} (${kind}) ${problem.message}`, hint: problem.hint };
  }
  if (kind === 'none') {
    return {
      message: `${name} is a physical device${bus === undefined ? '' : ` (${bus})`}, it stays with its host`,
      hint: `give the job a device on top of it instead: ip link add link ${name} type macvlan`,
    };
  }
  if (kind === 'openvswitch') {
    return {
      message: `${name} is a port of Open vSwitch, which only its own daemon can make`,
      hint: 'put a veth pair between the namespace and the switch, and its outer end on the switch',
    };
  }
  return {
    message: `${name} is a device of kind ${kind}, which cannot be carried`,
    hint: `remove it from the namespace first: ip link del ${name}`,
  };
}
