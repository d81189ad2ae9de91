import { z } from 'zod';
import { MigrateError } from '../../../base/errors.ts';
import { attribute, attributeBytes, attributeSet, nestedFlag } from '../../netlink/attributes.ts';
import { type LinkNames, text, uint16, uint32 } from '../../netlink/codec.ts';
import { genericAttributes, genericBody, genericFamily } from '../../netlink/genl.ts';
import type { NetlinkSpace } from '../../netlink/space.ts';
import { compact } from '../compact.ts';
import { l2Limits } from '../limits.ts';
import type { Request } from '../section.ts';
import { unless } from './codecs.ts';
import type { LinkData, LinkKind } from './kind.ts';
import { joinPeers, key, noKey, peerNests, peerSchema, toldPeers } from './wireguard-peer.ts';

/**
 * What wg(8) shows. The device is made by rtnetlink(7), all else is said in generic netlink. Its
 * keys are secrets: see `withoutSecrets`. Sessions are not carried: ends negotiate new ones.
 */
export const wireguard: LinkKind = {
  name: 'wireguard',
  compared,
  custom: { schema: z.lazy(() => dataSchema), read, requests },
};

const dataSchema = z.strictObject({
  privateKey: key.schema.optional(),
  listenPort: uint16.schema.optional(),
  mark: uint32.schema.optional(),
  peers: z.array(peerSchema).max(l2Limits.wireguardPeersMax),
});
type WireguardData = z.infer<typeof dataSchema>;

const commands = { get: 0, set: 1 } as const;
const replacePeers = 1;
const peersAttribute = 8;
/** A netlink attribute ends at 64 KiB, and so does a batch of requests. */
const messageBytesMax = 32 * 1024;

/** WGDEVICE_A_* of include/uapi/linux/wireguard.h. */
const attributes = attributeSet(
  'wireguard',
  {
    name: attribute(2, text(z.string())),
    privateKey: attribute(3, key),
    flags: attribute(5, uint32),
    listenPort: attribute(6, unless(uint16, 0)),
    mark: attribute(7, unless(uint32, 0)),
    peers: attribute(peersAttribute, toldPeers),
  },
  // Its number, and the public key, which follows from the private one.
  [1, 4],
);

function read(...[space, { name }, reading]: Parameters<NonNullable<Custom['read']>>): LinkData {
  const which = attributes.encode({ name }, space.names);
  const request = { type: family(space), body: genericBody(commands.get, which) };
  const told = space
    .socket('generic')
    .dump(request, `wireguard device ${name}`)
    .map(({ body }) => attributes.decode(genericAttributes(body), reading));
  const peers = joinPeers(told.flatMap((part) => part.peers ?? []));
  const { privateKey, listenPort, mark } = told[0] ?? {};
  return compact({ privateKey, listenPort, mark, peers });
}

type Custom = NonNullable<LinkKind['custom']>;

/** All of it, in as many messages as the peers take; the first ends what was there before. */
function requests(...[space, { name, data }]: Parameters<NonNullable<Custom['requests']>>) {
  const type = family(space);
  const { privateKey, listenPort, mark, peers } = data as WireguardData;
  const own = {
    name,
    privateKey: privateKey ?? noKey,
    flags: replacePeers,
    listenPort: listenPort ?? 0,
    mark: mark ?? 0,
  };
  const [first = [], ...more] = groupsOf(peers, space.names);
  const message = (said: Parameters<typeof attributes.encode>[0], nests: readonly Buffer[]) => {
    const head = attributes.encode(said, space.names);
    const tail = attributeBytes(peersAttribute | nestedFlag, Buffer.concat(nests));
    const body = genericBody(commands.set, Buffer.concat([head, tail]));
    return { family: 'generic', type, body } satisfies Request;
  };
  return [message(own, first), ...more.map((nests) => message({ name }, nests))];
}

function groupsOf(peers: WireguardData['peers'], names: LinkNames): Buffer[][] {
  const groups: Buffer[][] = [];
  let bytes = 0;
  for (const nest of peers.flatMap((peer) => peerNests(peer, messageBytesMax / 2, names))) {
    const last = groups.at(-1);
    if (last === undefined || bytes + nest.length > messageBytesMax) {
      groups.push([nest]);
      bytes = nest.length;
    } else {
      last.push(nest);
      bytes += nest.length;
    }
  }
  return groups;
}

/** Where a peer is now is learned from its packets. */
function compared(data: LinkData): LinkData {
  const { peers, ...own } = data as WireguardData;
  return { ...own, peers: peers.map(({ endpoint: _, ...peer }) => peer) };
}

function family(space: NetlinkSpace): number {
  const found = genericFamily(space, 'wireguard');
  if (found !== undefined) return found;
  throw new MigrateError('NETWORK_FAILED', 'this kernel has no wireguard');
}
