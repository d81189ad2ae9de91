import { z } from 'zod';
import { attribute, attributeSet } from '../../netlink/attributes.ts';
import { int32, type LinkNames, type Reading, uint32 } from '../../netlink/codec.ts';
import { knownDump } from '../../netlink/known-dump.ts';
import type { NetlinkSpace } from '../../netlink/space.ts';
import type { Request, Section } from '../section.ts';

export const peerNamespaceSchema = z.strictObject({
  /** `link-netnsid` of devices whose other end or parent is over there. */
  id: z.int().min(0).max(0x7fff_ffff),
  /** The host's own namespace, where outside ends are; or one that no other host has. */
  peer: z.enum(['host', 'unknown']),
});
export type PeerNamespace = z.infer<typeof peerNamespaceSchema>;

const attributes = attributeSet('peer namespace', {
  id: attribute(1, int32),
  process: attribute(2, uint32),
});

const messages = { add: 88, get: 90 } as const;
/** struct rtgenmsg, padded. */
const headerBytes = 4;
const notAssigned = -1;

/**
 * The numbers by which a namespace knows others. A number once given stays, so that none is ever
 * removed; only that of the host's own namespace can be given again on another host.
 */
export const peerNamespaces: Section<PeerNamespace> = {
  name: 'peer namespace',
  schema: peerNamespaceSchema,
  read(space, reading) {
    const body = Buffer.alloc(headerBytes);
    const found = knownDump(space, { type: messages.get, body }, 'peer namespaces');
    const host = hostId(space, reading);
    return found.flatMap((message): PeerNamespace[] => {
      const { id = notAssigned } = attributes.decode(message.body.subarray(headerBytes), reading);
      if (id === notAssigned) return [];
      return [{ id, peer: id === host ? 'host' : 'unknown' }];
    });
  },
  add: ({ id, peer }, names) =>
    peer === 'host' ? [request(messages.add, { id, process: process.pid }, names)] : [],
  remove: () => [],
  describe: ({ id, peer }) => `${id} (${peer === 'host' ? 'the host' : 'another namespace'})`,
};

/**
 * This process is in the host's own namespace: the kernel says which number that has over there.
 */
function hostId(space: NetlinkSpace, reading: Reading): number | undefined {
  const one = request(messages.get, { process: process.pid }, space.names);
  const reply = space.socket('route').send([one])[0]?.replies[0];
  if (reply === undefined) return undefined;
  return attributes.decode(reply.body.subarray(headerBytes), reading).id;
}

function request(
  type: number,
  values: { readonly id?: number; readonly process: number },
  names: LinkNames,
): Request {
  const body = Buffer.concat([Buffer.alloc(headerBytes), attributes.encode(values, names)]);
  return { type, body };
}
