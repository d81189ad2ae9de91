import { makeTun } from '../../../host/tun.ts';
import { attribute, attributeSet } from '../../netlink/attributes.ts';
import { uint8, uint32 } from '../../netlink/codec.ts';
import { choice } from './codecs.ts';
import type { LinkData, LinkKind, Problem } from './kind.ts';

/** IFLA_TUN_* of include/uapi/linux/if_link.h; both tun and tap devices are of kind `tun`. */
const data = attributeSet(
  'tun',
  {
    owner: attribute(1, uint32),
    group: attribute(2, uint32),
    type: attribute(3, choice(uint8, { tun: 1, tap: 2 })),
    packetInformation: attribute(4, uint8),
    virtioHeader: attribute(5, uint8),
    /** 0: it goes with the process that holds it open. */
    persistent: attribute(6, uint8),
    multiQueue: attribute(7, uint8),
  },
  // How many queues are attached, which is whose processes hold it open.
  [8, 9],
);

export const tun: LinkKind = {
  name: 'tun',
  data,
  fixed: [
    ...['owner', 'group', 'type', 'packetInformation', 'virtioHeader', 'persistent'],
    'multiQueue',
  ],
  problem,
  custom: {
    make(space, { name, data: said }) {
      makeTun(space.path, {
        name,
        type: said.type === 'tap' ? 'tap' : 'tun',
        isPlain: said.packetInformation === 0,
        hasVirtioHeader: said.virtioHeader === 1,
        isMultiQueue: said.multiQueue === 1,
        ...ids(said),
      });
    },
  },
};

/**
 * CRIU dumps a descriptor that is attached to a device and does not find the device again where it
 * did not make the network namespace itself (tunfile_open in criu/tun.c, dump_net_ns in net.c).
 */
function problem({ persistent }: LinkData): Problem | undefined {
  if (persistent === 1) return undefined;
  return {
    message: 'is held by a process, and CRIU cannot give that descriptor back',
    hint: 'make the device persistent (ip tuntap add) and stop the program that holds it',
  };
}

function ids({ owner, group }: LinkData) {
  return {
    ...(typeof owner === 'number' ? { owner } : {}),
    ...(typeof group === 'number' ? { group } : {}),
  };
}
