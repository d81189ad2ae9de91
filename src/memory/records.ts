import { crc32 } from 'node:zlib';
import { MigrateError } from '../base/errors.ts';
import { memoryLimits } from './limits.ts';

/**
 * What travels of a job's memory, outside of the bundle: records of 24 bytes, little-endian,
 * `kind u32, pid u32, address u64, pages u32, crc u32`; after `data` come its pages. The crc of
 * `data` is that of its pages (CRC-32, zlib(3)), that of `end` is over the records before it, and
 * there `pages` is their number modulo 2^32: what is lost, doubled, or put elsewhere is noticed.
 * SSH vouches for the bytes.
 */
export interface PageRecord {
  readonly kind: RecordKind;
  /** In the process's own PID namespace. */
  readonly pid: number;
  readonly address: number;
  readonly pages: number;
  readonly crc: number;
}

/**
 * `data`: pages follow. `zero`: these pages are zeros. `stale`: what was sent of them is old, and
 * comes again. `forget`: nothing that was sent of that process counts any more. `end`: no more.
 */
export type RecordKind = 'data' | 'zero' | 'stale' | 'forget' | 'end';

const kinds: readonly RecordKind[] = ['data', 'zero', 'stale', 'forget', 'end'];
export const recordBytes = 24;

/** Writes a record into `into` at `offset`; returns the offset behind it. */
export function putRecord(into: Buffer, offset: number, record: PageRecord): number {
  into.writeUInt32LE(kinds.indexOf(record.kind), offset);
  into.writeUInt32LE(record.pid, offset + 4);
  into.writeBigUInt64LE(BigInt(record.address), offset + 8);
  into.writeUInt32LE(record.pages, offset + 16);
  into.writeUInt32LE(record.crc, offset + 20);
  return offset + recordBytes;
}

/** Throws BUNDLE_UNSAFE for anything that `putRecord` would not have written. */
export function readRecord(from: Buffer, offset: number): PageRecord {
  const kind = kinds[from.readUInt32LE(offset)];
  const pid = from.readUInt32LE(offset + 4);
  const address = Number(from.readBigUInt64LE(offset + 8));
  const pages = from.readUInt32LE(offset + 16);
  const crc = from.readUInt32LE(offset + 20);
  if (kind === undefined) throw unsafe('a kind that nobody knows');
  if (kind === 'end') {
    if (pid !== 0 || address !== 0) throw unsafe('an end that is of a process');
    return { kind, pid, address, pages, crc };
  }
  const { pageBytes, addressMax, pidMax, recordPagesMax } = memoryLimits;
  if (pid === 0 || pid > pidMax) throw unsafe(`process id ${pid}`);
  if (address % pageBytes !== 0 || address + pages * pageBytes > addressMax) {
    throw unsafe(`address ${address}`);
  }
  if (pages > recordPagesMax || (pages === 0 && kind !== 'forget')) throw unsafe(`${pages} pages`);
  return { kind, pid, address, pages, crc };
}

/** The checksum over all records of a stream, and their number. */
export interface RecordSum {
  add(record: Uint8Array): void;
  readonly count: number;
  readonly crc: number;
}

export function createRecordSum(): RecordSum {
  let count = 0;
  let crc = 0;
  return {
    add(record) {
      count = (count + 1) >>> 0;
      crc = crc32(record, crc);
    },
    get count() {
      return count;
    },
    get crc() {
      return crc;
    },
  };
}

function unsafe(what: string): MigrateError {
  return new MigrateError('BUNDLE_UNSAFE', `a record of memory has ${what}`);
}
