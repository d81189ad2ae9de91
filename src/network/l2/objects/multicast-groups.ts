import { z } from 'zod';
import { addressBytes, addressText } from '../../address.ts';
import {
  attribute,
  attributeBytes,
  attributeSet,
  forEachAttribute,
  listOf,
  nested,
  nestedFlag,
} from '../../netlink/attributes.ts';
import {
  address,
  addressSchema,
  familyOf,
  type LinkNames,
  linkNameSchema,
  macBytes,
  macSchema,
  macText,
  nameOfLink,
  netUint16,
  type Reading,
  uint8,
  uint8Schema,
  uint16Schema,
  uint32,
  uint32Schema,
} from '../../netlink/codec.ts';
import { knownDump } from '../../netlink/known-dump.ts';
import { compact } from '../compact.ts';
import { l2Limits } from '../limits.ts';
import type { Request, Section } from '../section.ts';
import { bridgeFamily, vlanIdSchema } from './vlan-ranges.ts';

export const multicastGroupSchema = z.strictObject({
  /** The bridge whose database it is, or a VXLAN device with one of its own. */
  bridge: linkNameSchema,
  /** The port that gets the group's frames, or the bridge itself, or the VXLAN device. */
  link: linkNameSchema,
  group: z.union([addressSchema, macSchema]),
  vlan: vlanIdSchema.optional(),
  source: addressSchema.optional(),
  /** MCAST_EXCLUDE is 0, MCAST_INCLUDE is 1: what `sources` is a list of. */
  filterMode: uint8Schema.optional(),
  sources: z.array(addressSchema).max(l2Limits.groupSourcesMax).optional(),
  protocol: uint8Schema.optional(),
  /** The kernel made it of a group with sources and keeps its frames back. */
  blocked: z.literal(true).optional(),
  destination: addressSchema.optional(),
  port: uint16Schema.optional(),
  vni: uint32Schema.optional(),
  sourceVni: uint32Schema.optional(),
  via: linkNameSchema.optional(),
});
export type MulticastGroup = z.infer<typeof multicastGroupSchema>;

const source = attributeSet('MDB source', { address: attribute(1, address) }, [2]);
const sources = listOf(nested(source), l2Limits.groupSourcesMax);
const timer = 1;
/** MDBA_MDB_EATTR_*: what a dump says behind a struct br_mdb_entry. */
const found = attributeSet(
  'MDB entry',
  {
    sources: attribute(2, sources),
    filterMode: attribute(3, uint8),
    source: attribute(4, address),
    protocol: attribute(5, uint8),
    destination: attribute(6, address),
    port: attribute(7, netUint16),
    vni: attribute(8, uint32),
    via: attribute(9, uint32),
    sourceVni: attribute(10, uint32),
  },
  [timer],
);
/** MDBE_ATTR_*: the same to be set, with other numbers. */
const wanted = attributeSet('MDB entry', {
  source: attribute(1, address),
  sources: attribute(2, sources),
  filterMode: attribute(3, uint8),
  protocol: attribute(4, uint8),
  destination: attribute(5, address),
  port: attribute(6, netUint16),
  vni: attribute(7, uint32),
  via: attribute(8, uint32),
  sourceVni: attribute(9, uint32),
});

const messages = { add: 84, remove: 85, get: 86 } as const;
const createFlags = 0x400 | 0x200;
const headerBytes = 8;
const nests = { database: 1, entry: 1, info: 1, setEntry: 1, setAttributes: 2 } as const;
/** struct br_mdb_entry: device, state, flags, VLAN, address, protocol in network order. */
const entryBytes = 28;
const permanentState = 1;
const blockedFlag = 8;
const etherTypes = { 4: 0x0800, 6: 0x86dd } as const;

/**
 * Multicast groups that somebody entered (`bridge mdb add ... permanent`). Those that hosts joined
 * by IGMP and MLD are left out: the next report brings them back.
 */
export const multicastGroups: Section<MulticastGroup> = {
  name: 'MDB entry',
  schema: multicastGroupSchema,
  read(space, reading) {
    const body = Buffer.alloc(headerBytes);
    body.writeUInt8(bridgeFamily, 0);
    const dump = knownDump(space, { type: messages.get, body }, 'multicast databases');
    return dump.flatMap((message) => readBridge(message.body, reading));
  },
  add: (one, names) => [request(messages.add, createFlags, one, names)],
  remove: (one, names) => [request(messages.remove, 0, one, names)],
  describe: ({ group, source: from, link, bridge, vlan }) =>
    [
      `${group} dev ${bridge} port ${link}`,
      ...(from === undefined ? [] : [`src ${from}`]),
      ...(vlan === undefined ? [] : [`vid ${vlan}`]),
    ].join(' '),
  // A group with sources makes entries for each of them: those are there then, and refused.
  before: (one, other) => Number(one.source !== undefined) - Number(other.source !== undefined),
};

function readBridge(bytes: Buffer, reading: Reading): MulticastGroup[] {
  const bridge = nameOfLink(bytes.readUInt32LE(4), reading.names);
  const all: MulticastGroup[] = [];
  forEachAttribute(bytes.subarray(headerBytes), (id, database) => {
    if (id !== nests.database) return;
    forEachAttribute(database, (_entry, entry) => {
      forEachAttribute(entry, (_info, info) => {
        const one = readEntry(bridge, info, reading);
        if (one !== undefined) all.push(one);
      });
    });
  });
  return all;
}

function readEntry(bridge: string, info: Buffer, reading: Reading): MulticastGroup | undefined {
  if (info.length < entryBytes || info.readUInt8(4) !== permanentState) return undefined;
  const raw = found.decode(info.subarray(entryBytes), reading);
  const vlan = info.readUInt16LE(6);
  const group = groupText(info);
  return compact({
    bridge,
    link: nameOfLink(info.readUInt32LE(0), reading.names),
    group,
    vlan: vlan === 0 ? undefined : vlan,
    source: raw.source,
    filterMode: hasFilter(group, raw.source) ? raw.filterMode : undefined,
    sources: raw.sources?.map((one) => one.address ?? '').sort(),
    protocol: raw.protocol,
    blocked: (info.readUInt8(5) & blockedFlag) === 0 ? undefined : (true as const),
    destination: raw.destination,
    port: raw.port,
    vni: raw.vni,
    sourceVni: raw.sourceVni,
    via: raw.via === undefined ? undefined : nameOfLink(raw.via, reading.names),
  });
}

/** The kernel says a mode of each entry, and takes it of a group with any source alone. */
function hasFilter(group: string, one: string | undefined): boolean {
  return one === undefined && group !== '0.0.0.0' && group !== '::';
}

function groupText(info: Buffer): string {
  const type = info.readUInt16BE(24);
  if (type === etherTypes[4]) return addressText(info.subarray(8, 12));
  return type === etherTypes[6] ? addressText(info.subarray(8, 24)) : macText(info.subarray(8, 14));
}

function request(type: number, flags: number, one: MulticastGroup, names: LinkNames): Request {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt8(bridgeFamily, 0);
  header.writeUInt32LE(names.indexOf(one.bridge), 4);
  const isAdd = type === messages.add;
  const attributes = wanted.encode(
    {
      source: one.source,
      sources: isAdd ? one.sources?.map((text) => ({ address: text })) : undefined,
      filterMode: isAdd ? one.filterMode : undefined,
      protocol: isAdd ? one.protocol : undefined,
      destination: one.destination,
      port: one.port,
      vni: one.vni,
      via: one.via === undefined ? undefined : names.indexOf(one.via),
      sourceVni: one.sourceVni,
    },
    names,
  );
  const parts = [header, attributeBytes(nests.setEntry, entryOf(one, names))];
  if (attributes.length > 0) {
    parts.push(attributeBytes(nests.setAttributes | nestedFlag, attributes));
  }
  return { type, flags, body: Buffer.concat(parts) };
}

function entryOf({ link, group, vlan }: MulticastGroup, names: LinkNames): Buffer {
  const entry = Buffer.alloc(entryBytes);
  entry.writeUInt32LE(names.indexOf(link), 0);
  entry.writeUInt8(permanentState, 4);
  entry.writeUInt16LE(vlan ?? 0, 6);
  if (macSchema.safeParse(group).success) {
    macBytes(group).copy(entry, 8);
    return entry;
  }
  addressBytes(group).copy(entry, 8);
  entry.writeUInt16BE(etherTypes[familyOf(group) === 2 ? 4 : 6], 24);
  return entry;
}
