import { z } from 'zod';
import {
  attribute,
  attributeBytes,
  attributeSet,
  forEachAttribute,
  nestedFlag,
} from '../../netlink/attributes.ts';
import {
  type LinkNames,
  linkNameSchema,
  nameOfLink,
  type Reading,
  uint8,
  uint16,
  uint32,
  uint64,
} from '../../netlink/codec.ts';
import { knownDump } from '../../netlink/known-dump.ts';
import { compact } from '../compact.ts';
import type { Request, Section } from '../section.ts';
import { bridgeFamily, joinRanges, vlanIdSchema, vlanRangeText } from './vlan-ranges.ts';

const options = {
  multicastSnooping: attribute(3, uint8),
  igmpVersion: attribute(4, uint8),
  mldVersion: attribute(5, uint8),
  lastMemberCount: attribute(6, uint32),
  startupQueryCount: attribute(7, uint32),
  lastMemberInterval: attribute(8, uint64),
  membershipInterval: attribute(10, uint64),
  querierInterval: attribute(11, uint64),
  queryInterval: attribute(12, uint64),
  queryResponseInterval: attribute(13, uint64),
  startupQueryInterval: attribute(14, uint64),
  querier: attribute(15, uint8),
  /** The spanning tree that the VLAN belongs to (MSTI). */
  tree: attribute(18, uint16),
};
const [routerPorts, querierState, padding] = [16, 17, 9];
const entry = attributeSet(
  'bridge VLAN option',
  { first: attribute(1, uint16), last: attribute(2, uint16), ...options },
  [routerPorts, querierState, padding],
);

const optionSchemas = Object.fromEntries(
  Object.entries(options).map(([name, { codec }]) => [name, codec.schema.optional()]),
) as { [K in keyof typeof options]: z.ZodOptional<(typeof options)[K]['codec']['schema']> };

export const bridgeVlanOptionsSchema = z.strictObject({
  link: linkNameSchema,
  first: vlanIdSchema,
  last: vlanIdSchema,
  /** Intervals are in hundredths of a second (clock_t). */
  ...optionSchemas,
});
export type BridgeVlanOptions = z.infer<typeof bridgeVlanOptionsSchema>;

const intervals = [
  'lastMemberInterval',
  'membershipInterval',
  'querierInterval',
  'queryInterval',
  'queryResponseInterval',
  'startupQueryInterval',
] as const;

const messages = { set: 112, get: 114 } as const;
const headerBytes = 8;
const globalOptionsAttribute = 2;
const dumpFlagsAttribute = 1;
const dumpGlobalFlag = 2;

/**
 * What a bridge does about multicast and spanning trees per VLAN. These are settings of VLANs: they
 * come and go with them, so that none is ever removed.
 */
export const bridgeVlanOptions: Section<BridgeVlanOptions> = {
  name: 'options of a bridge VLAN',
  schema: bridgeVlanOptionsSchema,
  read(space, reading) {
    const header = Buffer.alloc(headerBytes);
    header.writeUInt8(bridgeFamily, 0);
    const flags = Buffer.alloc(4);
    flags.writeUInt32LE(dumpGlobalFlag);
    const body = Buffer.concat([header, attributeBytes(dumpFlagsAttribute, flags)]);
    const found = knownDump(space, { type: messages.get, body }, 'options of bridge VLANs');
    const all = found.flatMap((message) => readBridge(message.body, reading));
    return joinRanges(all, isAlike);
  },
  add: (one, names) => [request(one, names)],
  remove: () => [],
  describe: (one) => `vlan ${vlanRangeText(one)} global dev ${one.link}`,
  compared: (one) => ({
    ...one,
    ...Object.fromEntries(intervals.map((key) => [key, half(one[key])])),
  }),
};

/** A kernel of 250 ticks a second keeps only even hundredths (clock_t_to_jiffies). */
function half(interval: string | undefined): string | undefined {
  return interval === undefined ? undefined : (BigInt(interval) / 2n).toString();
}

function isAlike(one: BridgeVlanOptions, next: BridgeVlanOptions): boolean {
  return (
    JSON.stringify({ ...one, first: 0, last: 0 }) === JSON.stringify({ ...next, first: 0, last: 0 })
  );
}

function readBridge(bytes: Buffer, reading: Reading): BridgeVlanOptions[] {
  const link = nameOfLink(bytes.readUInt32LE(4), reading.names);
  const found: BridgeVlanOptions[] = [];
  forEachAttribute(bytes.subarray(headerBytes), (id, payload) => {
    if (id !== globalOptionsAttribute) return;
    const { first = 0, last = first, tree, ...rest } = entry.decode(payload, reading);
    // Kernels before 5.18 know no trees: 0 is the one that all belong to.
    found.push(compact({ link, first, last, ...rest, tree: tree === 0 ? undefined : tree }));
  });
  return found;
}

function request({ link, ...one }: BridgeVlanOptions, names: LinkNames): Request {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt8(bridgeFamily, 0);
  header.writeUInt32LE(names.indexOf(link), 4);
  const last = one.last === one.first ? undefined : one.last;
  const nest = entry.encode({ ...one, last }, names);
  const option = attributeBytes(globalOptionsAttribute | nestedFlag, nest);
  return { type: messages.set, body: Buffer.concat([header, option]) };
}
