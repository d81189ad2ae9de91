import { closeSync, openSync } from 'node:fs';
import { asMigrateError } from '../base/errors.ts';
import { inNetns } from './netns.ts';
import { systemCalls } from './syscalls.ts';

export interface TunDevice {
  readonly name: string;
  readonly type: 'tun' | 'tap';
  /** Without the four bytes of struct tun_pi before each packet. */
  readonly isPlain: boolean;
  /** With a struct virtio_net_hdr before each packet. */
  readonly hasVirtioHeader: boolean;
  readonly isMultiQueue: boolean;
  /** Who may attach besides root; everybody where both are missing. */
  readonly owner?: number;
  readonly group?: number;
}

/**
 * Makes a persistent tun or tap device in the network namespace of the file `netns`: only the
 * driver's own ioctl(2)s can. Throws KERNEL, and then there is no device: it goes with the
 * descriptor until it is persistent, which is the last step.
 */
export function makeTun(netns: string, device: TunDevice): void {
  const { name, owner, group } = device;
  const fd = inNetns(netns, () => openDriver());
  try {
    const { ioctl } = systemCalls();
    ioctl(fd, requests.setInterface, interfaceRequest(device), `TUNSETIFF ${name}`);
    if (owner !== undefined) ioctl(fd, requests.setOwner, owner, `TUNSETOWNER ${name}`);
    if (group !== undefined) ioctl(fd, requests.setGroup, group, `TUNSETGROUP ${name}`);
    ioctl(fd, requests.setPersist, 1, `TUNSETPERSIST ${name}`);
  } finally {
    closeSync(fd);
  }
}

const driver = '/dev/net/tun';
/** include/uapi/linux/if_tun.h: _IOW('T', 202...206, int) */
const requests = {
  setInterface: 0x400454ca,
  setPersist: 0x400454cb,
  setOwner: 0x400454cc,
  setGroup: 0x400454ce,
} as const;
const flags = {
  tun: 1,
  tap: 2,
  multiQueue: 0x100,
  plain: 0x1000,
  virtioHeader: 0x4000,
  exclusive: 0x8000,
} as const;
/** struct ifreq: 16 bytes of name, 24 of which the flags are the first two. */
const requestBytes = 40;
const nameBytes = 16;

function openDriver(): number {
  try {
    return openSync(driver, 'r+');
  } catch (error) {
    throw asMigrateError(error, 'KERNEL');
  }
}

function interfaceRequest({ name, type, ...options }: TunDevice): Buffer {
  const request = Buffer.alloc(requestBytes);
  request.write(name, 0, nameBytes - 1, 'latin1');
  const bits = [
    flags[type],
    flags.exclusive,
    ...(options.isPlain ? [flags.plain] : []),
    ...(options.hasVirtioHeader ? [flags.virtioHeader] : []),
    ...(options.isMultiQueue ? [flags.multiQueue] : []),
  ];
  request.writeUInt16LE(
    bits.reduce((all, bit) => all | bit, 0),
    nameBytes,
  );
  return request;
}
