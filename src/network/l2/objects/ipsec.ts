import { isMigrateError } from '../../../base/errors.ts';
import type { NetlinkSocket } from '../../../host/netlink.ts';
import type { NetlinkSpace } from '../../netlink/space.ts';

/** XFRM_MSG_GETSA and XFRM_MSG_GETPOLICY of include/uapi/linux/xfrm.h. */
const lists = [
  [18, 'security association'],
  [21, 'policy'],
] as const;

/**
 * What a namespace has of IPsec, a line for all of a kind: its keys and sequence numbers are not
 * carried, and without its policies what was encrypted would leave in the clear.
 */
export function ipsecProblems(space: NetlinkSpace): { message: string; hint: string }[] {
  const socket = openXfrm(space);
  if (socket === undefined) return [];
  return lists.flatMap(([type, what]) => {
    const found = socket.dump({ type, body: Buffer.alloc(0) }, `IPsec ${what}`);
    if (found.length === 0) return [];
    const many = what === 'policy' ? 'policies' : `${what}s`;
    return [
      {
        message: `IPsec: ${found.length} ${found.length === 1 ? what : many} (ip xfrm) cannot be carried`,
        hint: 'stop the IPsec daemon of the namespace and flush them, or use WireGuard',
      },
    ];
  });
}

/** A kernel without xfrm_user has nobody who could have made any. */
function openXfrm(space: NetlinkSpace): NetlinkSocket | undefined {
  try {
    return space.socket('xfrm');
  } catch (error) {
    if (isMigrateError(error) && error.code === 'KERNEL') return undefined;
    throw error;
  }
}
