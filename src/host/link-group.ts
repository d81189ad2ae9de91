import { closeSync } from 'node:fs';
import { inNetns } from './netns.ts';
import { systemCalls } from './syscalls.ts';

/** include/uapi/linux/sockios.h: SIOCADDMULTI and SIOCDELMULTI. */
const requests = { add: 0x8931, remove: 0x8932 } as const;
const [afInet, sockDgram] = [2, 2];
/** struct ifreq: 16 bytes of name, then a struct sockaddr whose family stays AF_UNSPEC. */
const requestBytes = 40;
const nameBytesMax = 15;
const addressAt = 18;
/** sa_data of a struct sockaddr; no driver that takes groups has longer addresses. */
const addressBytesMax = 14;

/**
 * Lets a device of a network namespace listen to a link-layer group, or no longer, as `ip maddr`
 * does: there is no netlink message for it. Throws KERNEL when the kernel refuses; a group that was
 * already set from outside is no error.
 */
export function changeLinkGroup(
  netns: string,
  change: keyof typeof requests,
  { device, group }: { readonly device: string; readonly group: Buffer },
): void {
  const calls = systemCalls();
  const request = Buffer.alloc(requestBytes);
  request.write(device.slice(0, nameBytesMax), 'latin1');
  group.copy(request, addressAt, 0, addressBytesMax);
  const fd = inNetns(netns, () => calls.socket(afInet, sockDgram, 0));
  try {
    calls.ioctl(fd, requests[change], request, `group of ${device}`);
  } finally {
    closeSync(fd);
  }
}
