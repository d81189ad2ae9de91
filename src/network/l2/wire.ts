import { openSpace } from '../netlink/space.ts';
import { addresses } from './objects/addresses.ts';
import { type FoundLink, readLinks } from './objects/link-read.ts';
import { inheritingLinks } from './outside.ts';

/** A device by which neighbours know addresses of a namespace. */
export interface Speaker {
  readonly device: string;
  readonly mac: string;
  readonly addresses: readonly string[];
}

/** A speaker whose frames reach the wire, maybe through other devices of its namespace. */
export interface WireSpeaker extends Speaker {
  /** The device that hangs on the host's. */
  readonly end: string;
  /** The device that takes a frame to the wire even if its destination is the speaker. */
  readonly via: string;
  /** Its MAC is that of a device of the host: another one on another host. */
  readonly isInherited: boolean;
  /** Of the VRF that `via` belongs to. */
  readonly table?: number;
}

/** What of a namespace is on the wire, as its kernel has it now. */
export interface Wire {
  /** Devices that hang on the host's: what comes from the wire comes there first. */
  readonly ends: readonly string[];
  readonly speakers: readonly WireSpeaker[];
  /** Devices that frames leave by, with MACs that move along. */
  readonly vias: readonly { readonly device: string; readonly mac: string }[];
  /** The host's ends of veth pairs. */
  readonly hostEnds: readonly string[];
}

/** An Ethernet address, as the kernel's text of it. */
const macPattern = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;
const macvlans: readonly string[] = ['macvlan', 'macvtap'];
const ipvlans: readonly string[] = ['ipvlan', 'ipvtap'];

/** Everything that speaks Ethernet and has an address: on the wire, in tunnels, inside. */
export function readSpeakers(netns: string): Speaker[] {
  const space = openSpace(netns);
  try {
    const reading = { names: space.names, unknown: new Set<string>() };
    const own = new Map<string, string[]>();
    for (const { link, address } of addresses.read(space, reading)) {
      own.set(link, [...(own.get(link) ?? []), address]);
    }
    return readLinks(space, reading).flatMap(({ link }) => {
      const { name, mac = '', up, noArp, kind } = link;
      const its = own.get(name) ?? [];
      if (!up || noArp || kind === 'lo' || !macPattern.test(mac) || its.length === 0) return [];
      return [{ device: name, mac, addresses: its }];
    });
  } finally {
    space.close();
  }
}

/** Throws KERNEL. */
export function readWire(netns: string): Wire {
  const speakers = readSpeakers(netns);
  const space = openSpace(netns);
  const host = openSpace('/proc/self/ns/net');
  try {
    const found = readLinks(space, { names: space.names, unknown: new Set() });
    const outside = readLinks(host, { names: host.names, unknown: new Set() });
    const outer = found.filter(({ link }) => link.outside === true);
    const inheriting = inheritingLinks(found, outside);
    const pairs = outer.filter(({ link }) => link.kind === 'veth');
    const onWire = speakers.flatMap((speaker) => {
      const path = pathOf(speaker.device, found, new Set());
      if (path === undefined) return [];
      const table = vrfTable(path.via, found);
      const isInherited = inheriting.has(speaker.device);
      return [{ ...speaker, ...path, isInherited, ...(table === undefined ? {} : { table }) }];
    });
    const vias = new Set(onWire.map(({ via }) => via));
    return {
      ends: outer.map(({ link }) => link.name),
      speakers: onWire,
      vias: found
        .filter(({ link }) => vias.has(link.name) && !inheriting.has(link.name))
        .map(({ link: { name, mac = '' } }) => ({ device: name, mac })),
      hostEnds: pairs.flatMap(({ lower }) => host.names.nameOf(lower ?? 0) ?? []),
    };
  } finally {
    space.close();
    host.close();
  }
}

type Path = Pick<WireSpeaker, 'end' | 'via'>;

/** How a device's frames reach the wire; undefined when they do not. */
function pathOf(name: string, all: readonly FoundLink[], seen: Set<string>): Path | undefined {
  const link = all.find((one) => one.link.name === name)?.link;
  if (link === undefined || seen.has(name)) return undefined;
  seen.add(name);
  const { kind, parent, peer } = link;
  const isIpvlan = ipvlans.includes(kind);
  // By a packet's destination these find a place here, and would bring back what is sent on.
  if (isIpvlan && link.data?.mode !== 'l2') return undefined;
  if (link.outside === true) return { end: name, via: name };
  const lower = (one: string | undefined) =>
    one === undefined ? undefined : pathOf(one, all, seen);
  // One of its own devices would take the frame: the parent does not ask them.
  if (isIpvlan || macvlans.includes(kind)) return lower(parent);
  if (kind === 'vlan') {
    const below = lower(parent);
    return below !== undefined && below.via === parent ? { ...below, via: name } : undefined;
  }
  if (kind === 'veth') return lower(masterOf(peer, all));
  if (kind !== 'bridge' && kind !== 'bond') return undefined;
  const ports = all.filter((one) => one.link.master === name);
  const [path] = ports.flatMap((port) => lower(port.link.name) ?? []);
  return path === undefined || kind === 'bridge' ? path : { ...path, via: name };
}

function masterOf(name: string | undefined, all: readonly FoundLink[]): string | undefined {
  return all.find(({ link }) => link.name === name)?.link.master;
}

function vrfTable(device: string, all: readonly FoundLink[]): number | undefined {
  const named = (name: string | undefined) => all.find(({ link }) => link.name === name)?.link;
  const master = named(named(device)?.master);
  const table = master?.kind === 'vrf' ? master.data?.table : undefined;
  return typeof table === 'number' ? table : undefined;
}
