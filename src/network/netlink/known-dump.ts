import type { NetlinkMessage, NetlinkRequest } from '../../host/netlink.ts';
import type { NetlinkSpace } from './space.ts';

/** A dump over rtnetlink(7); nothing where this kernel was built without that kind of object. */
export function knownDump(
  space: NetlinkSpace,
  request: NetlinkRequest,
  what: string,
): NetlinkMessage[] {
  try {
    return space.socket('route').dump(request, what);
  } catch (error) {
    if (error instanceof Error && error.cause === 'EOPNOTSUPP') return [];
    throw error;
  }
}
