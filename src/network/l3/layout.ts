import { isIPv4, isIPv6, SocketAddress } from 'node:net';
import { MigrateError } from '../../base/errors.ts';
import { addressBytes } from '../address.ts';
import { maps, ownAddressesMax } from './programs.ts';

/** What the filter has to know about a job. */
export interface JobAddresses {
  /** Its own addresses, at most 8 of each family, without a length; [0] is the primary. */
  readonly ipv4: readonly string[];
  readonly ipv6: readonly string[];
  /** The private loopback addresses; choosePrivateLoopback. The IPv6 one must be on `lo`. */
  readonly loopback4: string;
  readonly loopback6: string;
  /** The broadcast addresses of its IPv4 networks, as many as there are IPv4 addresses at most. */
  readonly broadcast4?: readonly string[];
}

export interface Settings {
  readonly layout: number;
  /** The first 8 bytes of the object's SHA-256. */
  readonly object: bigint;
  /** SO_NETNS_COOKIE of the network namespace that the set serves. */
  readonly netns: bigint;
}

export interface Owner {
  readonly job: bigint;
  readonly loopback: boolean;
}

/** Counts up whenever a struct in bindfilter.bpf.c changes. */
export const layoutVersion = 2;

/** Map values and keys as bindfilter.bpf.c declares them, all integers little-endian. */
export const layout = {
  jobKey(id: bigint): Buffer {
    return integers64(id);
  },

  readJobKey(key: Buffer): bigint {
    return key.readBigUInt64LE(0);
  },

  job(job: JobAddresses): Buffer {
    checkJob(job);
    const value = Buffer.alloc(maps.jobs.valueBytes);
    value.writeUInt32LE(job.ipv4.length, 0);
    value.writeUInt32LE(job.ipv6.length, 4);
    addressKey(job.loopback4).copy(value, loopbackOffset);
    addressKey(job.loopback6).copy(value, loopbackOffset + 16);
    for (const [index, text] of job.ipv4.entries()) {
      addressKey(text).copy(value, ownOffset + index * 16);
    }
    for (const [index, text] of job.ipv6.entries()) {
      addressKey(text).copy(value, ownOffset + (ownAddressesMax + index) * 16);
    }
    for (const [index, text] of (job.broadcast4 ?? []).entries()) {
      addressBytes(text).copy(value, broadcastOffset + index * 4);
    }
    return value;
  },

  readJob(value: Buffer): JobAddresses {
    const read = (first: number, count: number): string[] =>
      Array.from({ length: count }, (_, index) => addressAt(value, first + index * 16));
    const broadcast4 = Array.from({ length: ownAddressesMax }, (_, index) =>
      [...value.subarray(broadcastOffset + index * 4).subarray(0, 4)].join('.'),
    ).filter((text) => text !== '0.0.0.0');
    return {
      ...(broadcast4.length === 0 ? {} : { broadcast4 }),
      ipv4: read(ownOffset, value.readUInt32LE(0)),
      ipv6: read(ownOffset + ownAddressesMax * 16, value.readUInt32LE(4)),
      loopback4: addressAt(value, loopbackOffset),
      loopback6: addressAt(value, loopbackOffset + 16),
    };
  },

  addressKey,

  owner(owner: Owner): Buffer {
    return integers64(owner.job, owner.loopback ? 1n : 0n);
  },

  readOwner(value: Buffer): Owner {
    return { job: value.readBigUInt64LE(0), loopback: value.readUInt32LE(8) !== 0 };
  },

  settings(settings: Settings): Buffer {
    return integers64(BigInt(settings.layout), settings.object, settings.netns);
  },

  readSettings(value: Buffer): Settings {
    return {
      layout: value.readUInt32LE(0),
      object: value.readBigUInt64LE(8),
      netns: value.readBigUInt64LE(16),
    };
  },
} as const;

const loopbackOffset = 8;
const ownOffset = loopbackOffset + 2 * 16;
const broadcastOffset = ownOffset + 2 * ownAddressesMax * 16;

/** 16 bytes; an IPv4 address as ::ffff:a.b.c.d. */
function addressKey(address: string): Buffer {
  const bytes = addressBytes(address);
  if (bytes.length === 16) return bytes;
  return Buffer.concat([Buffer.from('00000000000000000000ffff', 'hex'), bytes]);
}

function addressAt(value: Buffer, offset: number): string {
  const bytes = value.subarray(offset, offset + 16);
  const mapped = bytes.subarray(0, 12).equals(addressKey('0.0.0.0').subarray(0, 12));
  if (mapped) return [...bytes.subarray(12)].join('.');
  const groups = Array.from({ length: 8 }, (_, index) =>
    bytes.readUInt16BE(index * 2).toString(16),
  );
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address;
}

function checkJob(job: JobAddresses): void {
  const wrong =
    job.ipv4.find((address) => !isIPv4(address) || address.startsWith('127.')) ??
    job.ipv6.find((address) => !isIPv6(address) || address.includes('.'));
  if (wrong !== undefined) throw failed(`${wrong} cannot be an address of a job`);
  if (job.ipv4.length + job.ipv6.length === 0) throw failed('a job needs an address');
  if (Math.max(job.ipv4.length, job.ipv6.length, job.broadcast4?.length ?? 0) > ownAddressesMax) {
    throw failed(`a job has at most ${ownAddressesMax} addresses of a family`);
  }
  if (!isIPv4(job.loopback4) || !/^127\./.test(job.loopback4) || job.loopback4 === '127.0.0.1') {
    throw failed(`${job.loopback4} cannot be a private loopback address`);
  }
  if (!isIPv6(job.loopback6) || addressBytes(job.loopback6)[0] !== 0xfd) {
    throw failed(`${job.loopback6} cannot be a private loopback address`);
  }
}

function integers64(...values: readonly bigint[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8);
  for (const [index, value] of values.entries()) bytes.writeBigUInt64LE(value, index * 8);
  return bytes;
}

function failed(message: string): MigrateError {
  return new MigrateError('NETWORK_FAILED', message);
}
