import { z } from 'zod';
import {
  attribute,
  attributeBytes,
  attributeSet,
  findAttribute,
  listOf,
  nested,
  nestedFlag,
} from '../../netlink/attributes.ts';
import {
  type LinkNames,
  linkNameSchema,
  nameOfLink,
  type Reading,
  uint8,
  uint8Schema,
  uint16,
  uint16Schema,
} from '../../netlink/codec.ts';
import { knownDump } from '../../netlink/known-dump.ts';
import { l2Limits } from '../limits.ts';
import type { Request, Section } from '../section.ts';
import { bridgeFamily } from './vlan-ranges.ts';

export const bridgeTreeSchema = z.strictObject({
  /** A port of a bridge. */
  link: linkNameSchema,
  /** Number of a spanning tree (MSTI), to which `bridgeVlanOptions` says which VLANs belong. */
  tree: uint16Schema,
  /** BR_STATE_* of include/uapi/linux/if_bridge.h. */
  state: uint8Schema,
});
export type BridgeTree = z.infer<typeof bridgeTreeSchema>;

const entry = attributeSet('bridge spanning tree', {
  tree: attribute(1, uint16),
  state: attribute(2, uint8),
});
const entries = listOf(nested(entry), l2Limits.treesMax);

const messages = { get: 18, set: 19 } as const;
const headerBytes = 16;
const attributeIds = { extensionMask: 29, familySpecific: 26, trees: 6 } as const;
/** RTEXT_FILTER_MST, since Linux 5.18. */
const treesFilter = 1 << 7;

/**
 * States of bridge ports in multiple spanning trees, which a program outside the kernel decides.
 * They come and go with the trees' VLANs, so that none is ever removed.
 */
export const bridgeTrees: Section<BridgeTree> = {
  name: 'state in a spanning tree',
  schema: bridgeTreeSchema,
  read(space, reading) {
    const mask = Buffer.alloc(4);
    mask.writeUInt32LE(treesFilter);
    const body = Buffer.concat([header(0), attributeBytes(attributeIds.extensionMask, mask)]);
    const found = knownDump(space, { type: messages.get, body }, 'spanning trees of bridges');
    return found.flatMap((message) => readPort(message.body, reading));
  },
  add: (one, names) => [request(one, names)],
  remove: () => [],
  describe: ({ link, tree, state }) => `msti ${tree} state ${state} dev ${link}`,
};

function readPort(bytes: Buffer, reading: Reading): BridgeTree[] {
  const set = bytes.subarray(headerBytes);
  const specific = findAttribute(set, attributeIds.familySpecific);
  const trees = specific && findAttribute(specific, attributeIds.trees);
  if (trees === undefined) return [];
  const link = nameOfLink(bytes.readInt32LE(4), reading.names);
  return entries.decode(trees, reading).map(({ tree = 0, state = 0 }) => ({ link, tree, state }));
}

function request({ link, ...one }: BridgeTree, names: LinkNames): Request {
  const trees = attributeBytes(attributeIds.trees | nestedFlag, entries.encode([one], names));
  const specific = attributeBytes(attributeIds.familySpecific | nestedFlag, trees);
  return { type: messages.set, body: Buffer.concat([header(names.indexOf(link)), specific]) };
}

/** struct ifinfomsg. */
function header(index: number): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeUInt8(bridgeFamily, 0);
  bytes.writeInt32LE(index, 4);
  return bytes;
}
