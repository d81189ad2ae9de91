import { createHash } from 'node:crypto';
import { isIPv4, SocketAddress } from 'node:net';
import { MigrateError } from '../../base/errors.ts';
import { addressBytes } from '../address.ts';

/** The two addresses that stand for 127.0.0.1 and ::1 of one job on the host's shared stack. */
export interface PrivateLoopback {
  /** In 127.128.0.0/9, which the kernel treats as local without any configuration. */
  readonly loopback4: string;
  /** In fd6d:6967:7261:7465::/96; it has to be put on `lo` as a /128. */
  readonly loopback6: string;
}

/**
 * Chooses them from the job's primary address, so that a job finds the same ones on the next host
 * and its loopback connections can be restored: 127.(b|128).c.d for a.b.c.d, a hash for an IPv6
 * address. `taken` says that the IPv4 one is in use by another job here; then the next free one is
 * chosen. Throws NETWORK_FAILED when none of `attemptsMax` is free.
 */
export function choosePrivateLoopback(
  primary: string,
  taken: (loopback4: string) => boolean,
): PrivateLoopback {
  const first = hostBits(primary);
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const bits = (first + attempt) % hostBitsCount;
    // 127.128.0.0 reads like a network and 127.255.255.255 is the broadcast address of `lo`.
    if (bits === 0 || bits === hostBitsCount - 1) continue;
    const loopback = fromHostBits(bits);
    if (!taken(loopback.loopback4)) return loopback;
  }
  throw new MigrateError('NETWORK_FAILED', `no private loopback address is free for ${primary}`);
}

/** The /96 in which the private IPv6 addresses lie; "migrate" in ASCII, within fd00::/8. */
export const loopback6Prefix = 'fd6d:6967:7261:7465::';

const attemptsMax = 65_536;
const hostBitsCount = 2 ** 23;

function hostBits(primary: string): number {
  const bytes = isIPv4(primary)
    ? addressBytes(primary)
    : createHash('sha256').update(addressBytes(primary)).digest();
  return bytes.readUInt32BE(0) % hostBitsCount;
}

function fromHostBits(bits: number): PrivateLoopback {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(127 * 2 ** 24 + 2 ** 23 + bits);
  const six = `${loopback6Prefix}${bytes.toString('hex', 0, 2)}:${bytes.toString('hex', 2, 4)}`;
  return {
    loopback4: [...bytes].join('.'),
    loopback6: new SocketAddress({ address: six, family: 'ipv6' }).address,
  };
}
