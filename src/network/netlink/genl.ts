import { attributeBytes, findAttribute } from './attributes.ts';
import type { NetlinkSpace } from './space.ts';

/** Families of generic netlink that are spoken here. */
type GenericFamily = 'wireguard' | 'ethtool';

/**
 * The number of a generic netlink family; undefined where this kernel has none of that name and
 * cannot load it. It may change when a module comes and goes, so it is kept with the space.
 */
export function genericFamily(space: NetlinkSpace, name: GenericFamily): number | undefined {
  const known = numbers.get(space) ?? new Map<GenericFamily, number>();
  numbers.set(space, known);
  const found = known.get(name) ?? resolve(space, name);
  if (found !== undefined) known.set(name, found);
  return found;
}

/** struct genlmsghdr and what follows it. */
export function genericBody(command: number, attributes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([command, familyVersion, 0, 0]), attributes]);
}

/** The attributes behind a message's struct genlmsghdr. */
export function genericAttributes(body: Buffer): Buffer {
  return body.subarray(headerBytes);
}

const numbers = new WeakMap<NetlinkSpace, Map<GenericFamily, number>>();

const headerBytes = 4;
/** Of `wireguard`, `ethtool` and the controller alike. */
const familyVersion = 1;
/** include/uapi/linux/genetlink.h: GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_* */
const controller = { type: 16, getFamily: 3, familyId: 1, familyName: 2 } as const;

function resolve(space: NetlinkSpace, name: GenericFamily): number | undefined {
  const wanted = attributeBytes(controller.familyName, Buffer.from(`${name}\0`));
  const body = genericBody(controller.getFamily, wanted);
  const [answer] = space.socket('generic').send([{ type: controller.type, body }]);
  const reply = answer?.replies[0];
  if (reply === undefined) return undefined;
  return findAttribute(genericAttributes(reply.body), controller.familyId)?.readUInt16LE(0);
}
