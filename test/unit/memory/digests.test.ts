import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createPageDigests } from '../../../src/memory/compare/digests.ts';
import { pageBytes, pageOf } from './samples.ts';

test('a page differs until it is seen again as it was', () => {
  const digests = createPageDigests();
  const address = 511 * pageBytes;
  expect(digests.differs(address, pageOf(1))).toBe(true);
  expect(digests.differs(address, pageOf(1))).toBe(false);
  expect(digests.differs(address, pageOf(2))).toBe(true);
  expect(digests.differs(address, pageOf(1))).toBe(true);
});

test('zeros that were never seen differ', () => {
  const digests = createPageDigests();
  expect(digests.differs(0, Buffer.alloc(pageBytes))).toBe(true);
  expect(digests.differs(0, Buffer.alloc(pageBytes))).toBe(false);
});

test('one bit is enough', () => {
  fc.assert(
    fc.property(fc.nat(pageBytes * 8 - 1), (bit) => {
      const digests = createPageDigests();
      const page = pageOf(3);
      digests.differs(pageBytes, page);
      page.writeUInt8(page.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(digests.differs(pageBytes, page)).toBe(true);
    }),
  );
});

test('each page is remembered for itself', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(2_000), fc.nat(3))), (looks) => {
      const digests = createPageDigests();
      const model = new Map<number, number>();
      for (const [page, seed] of looks) {
        expect(digests.differs(page * pageBytes, pageOf(seed))).toBe(model.get(page) !== seed);
        model.set(page, seed);
      }
    }),
  );
});
