import { z } from 'zod';
import { attribute, attributeSet, findAttribute, nested } from '../../netlink/attributes.ts';
import {
  address,
  addressSchema,
  hardwareAddress,
  type LinkNames,
  linkNameSchema,
  macSchema,
  macText,
  nameOfLink,
  netUint16,
  type Reading,
  uint8,
  uint8Schema,
  uint16,
  uint16Schema,
  uint32,
  uint32Schema,
} from '../../netlink/codec.ts';
import { knownDump } from '../../netlink/known-dump.ts';
import type { NetlinkSpace } from '../../netlink/space.ts';
import { compact } from '../compact.ts';
import type { Request, Section } from '../section.ts';
import { readLinkGroups } from './link-groups.ts';
import { bridgeFamily, joinRanges, vlanIdSchema, vlanRangeText } from './vlan-ranges.ts';

export const fdbEntrySchema = z.strictObject({
  /**
   * Where frames to that address go: a port, or the bridge itself; else the device of the table.
   */
  link: linkNameSchema,
  /** The bridge whose table it is; absent for a table that a device has for itself. */
  bridge: linkNameSchema.optional(),
  mac: macSchema,
  /** VLANs, from and to; absent where the table is not one per VLAN. */
  vlans: z.strictObject({ first: vlanIdSchema, last: vlanIdSchema }).optional(),
  /** NUD_* of include/uapi/linux/neighbour.h, those that do not change by themselves. */
  state: uint16Schema,
  sticky: z.literal(true).optional(),
  externallyLearned: z.literal(true).optional(),
  router: z.literal(true).optional(),
  /** FDB_NOTIFY_BIT: programs are told when the address falls silent. */
  notifyActivity: z.literal(true).optional(),
  /** Of a VXLAN: the other end, and what differs from the device's own. */
  destination: addressSchema.optional(),
  port: uint16Schema.optional(),
  vni: uint32Schema.optional(),
  sourceVni: uint32Schema.optional(),
  via: linkNameSchema.optional(),
  nexthop: uint32Schema.optional(),
  protocol: uint8Schema.optional(),
});
export type FdbEntry = z.infer<typeof fdbEntrySchema>;

const activity = attributeSet('FDB activity', {
  notify: attribute(1, uint8),
  keepTime: attribute(2, uint8),
});
const cacheInfo = 3;
const attributes = attributeSet(
  'FDB entry',
  {
    destination: attribute(1, address),
    mac: attribute(2, hardwareAddress),
    vlan: attribute(5, uint16),
    port: attribute(6, netUint16),
    vni: attribute(7, uint32),
    via: attribute(8, uint32),
    bridge: attribute(9, uint32),
    viaNamespace: attribute(10, uint32),
    sourceVni: attribute(11, uint32),
    protocol: attribute(12, uint8),
    nexthop: attribute(13, uint32),
    activity: attribute(14, nested(activity)),
    flagsExt: attribute(15, uint32),
  },
  [cacheInfo],
);
type Raw = ReturnType<typeof attributes.decode>;

const messages = { add: 28, remove: 29, get: 30 } as const;
const newFlags = { replace: 0x100, exclusive: 0x200, create: 0x400, append: 0x800 } as const;
const headerBytes = 12;
const states = { reachable: 0x02, noArp: 0x40, permanent: 0x80 } as const;
const bits = { self: 2, master: 4, externallyLearned: 0x10, sticky: 0x40, router: 0x80 } as const;
const notifyBit = 1;
const getLink = 18;
const linkHeaderBytes = 16;
const linkAttributes = { address: 1, master: 10 } as const;

/**
 * Forwarding tables of bridges and of VXLAN devices, and further addresses that a device takes.
 * What was learned from frames is left out: it comes back with the next frame. So are the addresses
 * of a bridge and of its ports, which the kernel enters by itself, in each VLAN, for whichever of
 * them it met first (fdb_add_local in net/bridge/br_fdb.c), and those that a bond has its active
 * port take (bond_hw_addr_swap in drivers/net/bonding/bond_main.c). One address in many VLANs is
 * one object.
 */
export const fdbEntries: Section<FdbEntry> = {
  name: 'FDB entry',
  schema: fdbEntrySchema,
  read(space, reading) {
    const body = Buffer.alloc(headerBytes);
    body.writeUInt8(bridgeFamily, 0);
    const found = knownDump(space, { type: messages.get, body }, 'forwarding tables');
    const groups = new Set(readLinkGroups(space).map(({ link, mac }) => `${link} ${mac}`));
    const devices = readDevices(space, reading);
    const all = found.flatMap((message) => readEntry(message.body, reading) ?? []);
    const taken = new Set([...devices.macs, ...all.filter(isOwnAddress).map(keyOf)]);
    return joinVlans(
      all.filter(
        (one) =>
          !isGroup(one, groups) &&
          !isOfPort(one, devices.ports) &&
          !isOfMaster(one, devices, taken),
      ),
    );
  },
  add: (one, names) => requests(messages.add, one, names),
  // An address that a device takes may be the kernel's own, and would be lost for a driver above.
  remove: (one, names) => (isOwnAddress(one) ? [] : requests(messages.remove, one, names)),
  describe: describeEntry,
};

function describeEntry({ mac, link, bridge, vlans, destination, nexthop }: FdbEntry): string {
  return [
    `${mac} dev ${link}`,
    ...(vlans === undefined ? [] : [`vlan ${vlanRangeText(vlans)}`]),
    ...(destination === undefined ? [] : [`dst ${destination}`]),
    ...(nexthop === undefined ? [] : [`nhid ${nexthop}`]),
    bridge === undefined || bridge === link ? 'self' : 'master',
  ].join(' ');
}

/**
 * A unicast address that a device takes besides its own: not one of a bridge's or a VXLAN's table.
 */
function isOwnAddress({ bridge, destination, nexthop, port, vni, via, state }: FdbEntry): boolean {
  const isTable = [bridge, destination, nexthop, port, vni, via].some((part) => part !== undefined);
  return !isTable && state === states.permanent;
}

/** Groups that a device listens to stand in the same dump; `linkGroups` has those that were set. */
function isGroup(one: FdbEntry, groups: ReadonlySet<string>): boolean {
  return isOwnAddress(one) && groups.has(`${one.link} ${one.mac}`);
}

/** Made by the kernel: a local entry for the address of the bridge or of one of its ports. */
function isOfPort({ bridge, mac, state }: FdbEntry, ports: ReadonlySet<string>): boolean {
  return (state & states.permanent) !== 0 && ports.has(`${bridge} ${mac}`);
}

/** A port takes what its master takes, as long as the master wants it to. */
function isOfMaster(one: FdbEntry, { masters }: Devices, taken: ReadonlySet<string>): boolean {
  const master = masters.get(one.link);
  return master !== undefined && isOwnAddress(one) && taken.has(`${master} ${one.mac}`);
}

function keyOf({ link, mac }: FdbEntry): string {
  return `${link} ${mac}`;
}

interface Devices {
  /** `DEVICE MAC`: its own address. */
  readonly macs: ReadonlySet<string>;
  /** `BRIDGE MAC`: of each device that has a master, and of each device. */
  readonly ports: ReadonlySet<string>;
  /** The master of each device that has one. */
  readonly masters: ReadonlyMap<string, string>;
}

function readDevices(space: NetlinkSpace, { names }: Reading): Devices {
  const body = Buffer.alloc(linkHeaderBytes);
  const [macs, ports] = [new Set<string>(), new Set<string>()];
  const masters = new Map<string, string>();
  for (const { body: bytes } of knownDump(space, { type: getLink, body }, 'devices')) {
    const set = bytes.subarray(linkHeaderBytes);
    const own = findAttribute(set, linkAttributes.address);
    const master = findAttribute(set, linkAttributes.master);
    if (own === undefined) continue;
    const name = nameOfLink(bytes.readInt32LE(4), names);
    macs.add(`${name} ${macText(own)}`);
    ports.add(`${name} ${macText(own)}`);
    if (master === undefined) continue;
    masters.set(name, nameOfLink(master.readUInt32LE(0), names));
    ports.add(`${masters.get(name)} ${macText(own)}`);
  }
  return { macs, ports, masters };
}

function readEntry(bytes: Buffer, reading: Reading): FdbEntry | undefined {
  const flags = bytes.readUInt8(10);
  const raw = attributes.decode(bytes.subarray(headerBytes), reading);
  const state = lastingState(bytes.readUInt16LE(8), (flags & bits.externallyLearned) !== 0);
  if (state === undefined) return undefined;
  const has = (bit: number) => ((flags & bit) === 0 ? undefined : (true as const));
  return compact({
    link: nameOfLink(bytes.readInt32LE(4), reading.names),
    bridge: raw.bridge === undefined ? undefined : nameOfLink(raw.bridge, reading.names),
    mac: raw.mac ?? '',
    vlans: raw.vlan === undefined ? undefined : { first: raw.vlan, last: raw.vlan },
    state,
    sticky: has(bits.sticky),
    externallyLearned: has(bits.externallyLearned),
    router: has(bits.router),
    notifyActivity: ((raw.activity?.notify ?? 0) & notifyBit) === 0 ? undefined : (true as const),
    destination: raw.destination,
    port: raw.port,
    vni: raw.vni,
    sourceVni: raw.sourceVni,
    via: viaOf(raw, reading),
    nexthop: raw.nexthop,
    protocol: raw.protocol === 0 ? undefined : raw.protocol,
  });
}

/**
 * Of a device whose tunnel goes through another namespace, numbers of devices mean nothing here.
 */
function viaOf({ via, viaNamespace }: Raw, { names }: Reading): string | undefined {
  if (via === undefined) return undefined;
  return viaNamespace === undefined ? nameOfLink(via, names) : `@${via}`;
}

/** Undefined for what was learned and ages; an outside learner's ages in name only. */
function lastingState(state: number, isExternal: boolean): number | undefined {
  if ((state & (states.permanent | states.noArp)) !== 0) return state;
  return isExternal ? states.reachable : undefined;
}

/** Entries of one address in several VLANs become one entry of a range of VLANs. */
function joinVlans(entries: readonly FdbEntry[]): FdbEntry[] {
  const plain: FdbEntry[] = [];
  const byRest = new Map<string, { readonly one: FdbEntry; readonly ids: number[] }>();
  for (const one of entries) {
    if (one.vlans === undefined) {
      plain.push(one);
      continue;
    }
    const key = JSON.stringify({ ...one, vlans: undefined });
    const found = byRest.get(key);
    if (found === undefined) byRest.set(key, { one, ids: [one.vlans.first] });
    else found.ids.push(one.vlans.first);
  }
  const ranged = [...byRest.values()].flatMap(({ one, ids }) => {
    const single = ids.sort((a, b) => a - b).map((id) => ({ first: id, last: id }));
    return joinRanges(single, () => true).map((vlans) => ({ ...one, vlans }));
  });
  return [...plain, ...ranged];
}

function requests(type: number, one: FdbEntry, names: LinkNames): Request[] {
  const { first, last } = one.vlans ?? { first: undefined, last: undefined };
  if (first === undefined) return [request(type, one, undefined, names)];
  const ids = Array.from({ length: last - first + 1 }, (_, at) => first + at);
  return ids.map((id) => request(type, one, id, names));
}

function request(type: number, one: FdbEntry, vlan: number | undefined, names: LinkNames): Request {
  const header = Buffer.alloc(headerBytes);
  const isMaster = one.bridge !== undefined && one.bridge !== one.link;
  header.writeUInt8(bridgeFamily, 0);
  header.writeInt32LE(names.indexOf(one.link), 4);
  header.writeUInt16LE(one.state, 8);
  header.writeUInt8(
    (isMaster ? bits.master : bits.self) |
      (one.externallyLearned ? bits.externallyLearned : 0) |
      (one.sticky ? bits.sticky : 0) |
      (one.router ? bits.router : 0),
    10,
  );
  const body = attributes.encode(
    {
      destination: one.destination,
      mac: one.mac,
      vlan,
      port: one.port,
      vni: one.vni,
      via: one.via === undefined ? undefined : names.indexOf(one.via),
      sourceVni: one.sourceVni,
      protocol: one.protocol,
      nexthop: one.nexthop,
      activity: one.notifyActivity ? { notify: notifyBit } : undefined,
    },
    names,
  );
  const flags = type === messages.add ? addFlags(one) : 0;
  return { type, flags, body: Buffer.concat([header, body]) };
}

/**
 * A VXLAN sends frames of an unknown or multicast address to each of several ends, which are added
 * one behind the other. Others take the place of what was learned meanwhile.
 */
function addFlags({ bridge, mac, destination, nexthop }: FdbEntry): number {
  if (bridge !== undefined) return newFlags.create | newFlags.replace;
  if (destination === undefined && nexthop === undefined) {
    return newFlags.create | newFlags.exclusive;
  }
  const isShared = mac === '00:00:00:00:00:00' || (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1;
  return newFlags.create | (isShared ? newFlags.append : newFlags.replace);
}
