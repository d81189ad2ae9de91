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

/** The text of 4 or 16 bytes, as RFC 5952 spells it, without dots in an IPv6 address. */
export function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  const words = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2));
  const run = longestZeroRun(words);
  const hex = words.map((word) => word.toString(16));
  if (run.length < 2) return hex.join(':');
  const [left, right] = [hex.slice(0, run.start), hex.slice(run.start + run.length)];
  return `${left.join(':')}::${right.join(':')}`;
}

function longestZeroRun(words: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (const [index, word] of words.entries()) {
    if (word !== 0) start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  }
  return best;
}

function groups(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}

/** The prefix that an address lies in, as `ip route` writes it. */
export function networkOf(address: InterfaceAddress): string {
  const shift = hostBits(address);
  const network = (toNumber(address.address) >> shift) << shift;
  return `${toAddress(network, address.family)}/${address.prefix}`;
}

/** Of an IPv4 address in a prefix that has one (RFC 3021: not in a /31); undefined else. */
export function broadcastOf(address: InterfaceAddress): string | undefined {
  const bits = hostBits(address);
  if (address.family === 6 || bits < 2n) return undefined;
  return toAddress(toNumber(address.address) | ((1n << bits) - 1n), 4);
}

function hostBits({ family, prefix }: InterfaceAddress): bigint {
  return BigInt(hostPrefix(family) - prefix);
}

function toNumber(address: string): bigint {
  return BigInt(`0x${addressBytes(address).toString('hex')}`);
}

function toAddress(value: bigint, family: 4 | 6): string {
  const hex = value.toString(16).padStart(family === 4 ? 8 : 32, '0');
  const parts = hex.match(family === 4 ? /../g : /..../g) ?? [];
  return family === 4 ? parts.map((part) => Number.parseInt(part, 16)).join('.') : parts.join(':');
}
