import { isIPv4 } from 'node:net';

/** The parts of `ADDR/LEN`. */
export interface InterfaceAddress {
  readonly address: string;
  readonly family: 4 | 6;
  readonly prefix: number;
}

export function parseInterfaceAddress(text: string): InterfaceAddress {
  const [address = '', length] = text.split('/');
  const family = isIPv4(address) ? 4 : 6;
  return { address, family, prefix: length === undefined ? hostPrefix(family) : Number(length) };
}

/** The prefix length of a single address. */
export function hostPrefix(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}

export function ofFamily(addresses: readonly string[], family: 4 | 6): string[] {
  return addresses.filter((address) => isIPv4(address) === (family === 4));
}

/** The 4 or 16 bytes of an address in network order. */
export function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = address.split('::');
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const zeros = new Array<number>(8 - left.length - right.length).fill(0);
  const bytes = Buffer.alloc(16);
  for (const [index, group] of [...left, ...zeros, ...right].entries()) {
    bytes.writeUInt16BE(group, index * 2);
  }
  return bytes;
}

function groups(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}
