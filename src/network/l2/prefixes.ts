import { isIPv4 } from 'node:net';
import { addressBytes, hostPrefix } from '../address.ts';

/**
 * A name for the subnet that holds an address: the same for every spelling of the same subnet.
 * `length` in bits; `default` is the whole family.
 */
export function subnetKey(address: string, length: number): string {
  const bytes = addressBytes(address);
  const masked = bytes.map((byte, index) => byte & maskByte(length - index * 8));
  return `${Buffer.from(masked).toString('hex')}/${length}`;
}

/** The same for `ADDRESS[/LENGTH]` or `default`, as `ip route` prints a destination. */
export function destinationKey(destination: string, family: 4 | 6): string {
  if (destination === 'default') return subnetKey(family === 4 ? '0.0.0.0' : '::', 0);
  const [address = '', length] = destination.split('/');
  const bits = length === undefined ? hostPrefix(isIPv4(address) ? 4 : 6) : Number(length);
  return subnetKey(address, bits);
}

function maskByte(bits: number): number {
  const kept = Math.min(Math.max(bits, 0), 8);
  return (0xff << (8 - kept)) & 0xff;
}
