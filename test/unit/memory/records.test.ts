import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MigrateError } from '../../../src/base/errors.ts';
import { memoryLimits } from '../../../src/memory/limits.ts';
import {
  createRecordSum,
  type PageRecord,
  putRecord,
  readRecord,
  recordBytes,
} from '../../../src/memory/records.ts';

const { pageBytes, recordPagesMax, pidMax, addressMax } = memoryLimits;
const u32 = { max: 0xffff_ffff };

const records: fc.Arbitrary<PageRecord> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('data' as const, 'zero' as const, 'stale' as const),
    pid: fc.integer({ min: 1, max: pidMax }),
    address: fc.nat(addressMax / pageBytes - recordPagesMax).map((page) => page * pageBytes),
    pages: fc.integer({ min: 1, max: recordPagesMax }),
    crc: fc.nat(u32),
  }),
  fc.record({
    kind: fc.constant('forget' as const),
    pid: fc.integer({ min: 1, max: pidMax }),
    address: fc.constant(0),
    pages: fc.constant(0),
    crc: fc.constant(0),
  }),
  fc.record({
    kind: fc.constant('end' as const),
    pid: fc.constant(0),
    address: fc.constant(0),
    pages: fc.nat(u32),
    crc: fc.nat(u32),
  }),
);

test('what is put is read', () => {
  fc.assert(
    fc.property(records, fc.nat(64), (record, offset) => {
      const into = Buffer.alloc(offset + recordBytes);
      expect(putRecord(into, offset, record)).toBe(into.length);
      expect(readRecord(into, offset)).toEqual(record);
    }),
  );
});

const good: PageRecord = { kind: 'data', pid: 7, address: 16 * pageBytes, pages: 2, crc: 1 };

test.each<[string, (record: Buffer) => void]>([
  ['a kind that nobody knows', (record) => void record.writeUInt32LE(5, 0)],
  ['a kind far away', (record) => void record.writeUInt32LE(0xffff_ffff, 0)],
  ['no process', (record) => void record.writeUInt32LE(0, 4)],
  ['a process that Linux has not', (record) => void record.writeUInt32LE(pidMax + 1, 4)],
  ['an address inside of a page', (record) => void record.writeBigUInt64LE(4097n, 8)],
  ['the end of the addresses', (record) => void record.writeBigUInt64LE(BigInt(addressMax), 8)],
  [
    'a page too many at the end',
    (record) => void record.writeBigUInt64LE(BigInt(addressMax - pageBytes), 8),
  ],
  ['an address of the kernel', (record) => void record.writeBigUInt64LE(0xffff_8000_0000_0000n, 8)],
  ['the last address', (record) => void record.writeBigUInt64LE(0xffff_ffff_ffff_f000n, 8)],
  ['no pages', (record) => void record.writeUInt32LE(0, 16)],
  ['too many pages', (record) => void record.writeUInt32LE(recordPagesMax + 1, 16)],
  ['all pages', (record) => void record.writeUInt32LE(0xffff_ffff, 16)],
])('refused: %s', (_, harm) => {
  const record = Buffer.alloc(recordBytes);
  for (const kind of ['data', 'zero', 'stale'] as const) {
    putRecord(record, 0, { ...good, kind });
    expect(readRecord(record, 0)).toMatchObject({ kind });
    harm(record);
    expect(codeOf(() => readRecord(record, 0))).toBe('BUNDLE_UNSAFE');
  }
});

test('refused: an end that is of a process', () => {
  const end: PageRecord = { kind: 'end', pid: 0, address: 0, pages: 3, crc: 9 };
  for (const wrong of [{ pid: 1 }, { address: pageBytes }]) {
    const record = Buffer.alloc(recordBytes);
    putRecord(record, 0, { ...end, ...wrong });
    expect(codeOf(() => readRecord(record, 0))).toBe('BUNDLE_UNSAFE');
  }
});

test('the sum of records counts them and depends on their order', () => {
  const [one, other] = [Buffer.alloc(recordBytes, 1), Buffer.alloc(recordBytes, 2)];
  const [forth, back] = [createRecordSum(), createRecordSum()];
  forth.add(one);
  forth.add(other);
  back.add(other);
  back.add(one);
  expect(forth.count).toBe(2);
  expect(back.count).toBe(2);
  expect(forth.crc).not.toBe(back.crc);
});

function codeOf(work: () => unknown): string {
  try {
    work();
    return 'accepted';
  } catch (error) {
    return error instanceof MigrateError ? error.code : String(error);
  }
}
