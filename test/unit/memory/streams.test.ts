import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { memoryLimits } from '../../../src/memory/limits.ts';
import { readRecord } from '../../../src/memory/records.ts';
import type { RecordWriter } from '../../../src/memory/write-records.ts';
import { codeOf, inPieces } from '../bundle/samples.ts';
import { arrived, cutIntoRecords, pageBytes, pageOf, written, writtenByLanes } from './samples.ts';

/** Any source: the bytes cut wherever, empty pieces too. */
async function* cutAt(bytes: Buffer, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  let start = 0;
  for (const cut of cuts) {
    const end = Math.min(bytes.length, start + cut);
    yield bytes.subarray(start, end);
    start = end;
  }
  yield bytes.subarray(start);
}

const somePages = fc.record({
  pid: fc.integer({ min: 1, max: 3 }),
  page: fc.nat(10_000),
  /** 0 is a page of zeros. */
  seeds: fc.array(fc.nat(3), { minLength: 1, maxLength: 40 }),
});

function contentOf(seeds: readonly number[]): Buffer {
  return Buffer.concat(seeds.map((seed) => (seed === 0 ? Buffer.alloc(pageBytes) : pageOf(seed))));
}

describe('a stream of memory', () => {
  it('arrives whole, in whatever pieces, through a slow wire', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(somePages, { maxLength: 30 }),
        fc.array(fc.nat(20_000), { maxLength: 40 }),
        async (parts, cuts) => {
          const expected = new Map<string, Buffer>();
          const reused = Buffer.alloc(40 * pageBytes);
          const bytes = await written(async (out) => {
            for (const { pid, page, seeds } of parts) {
              const content = reused.subarray(0, seeds.length * pageBytes);
              contentOf(seeds).copy(content);
              await out.pages(pid, page * pageBytes, content);
              for (const [at, seed] of seeds.entries()) {
                expected.set(`${pid}:${(page + at) * pageBytes}`, contentOf([seed]));
              }
            }
            const zeros = parts.flatMap(({ seeds }) => seeds).filter((seed) => seed === 0);
            expect(out.sent.zero).toBe(zeros.length);
          });
          const { pages } = await arrived(cutAt(bytes, cuts));
          expect([...pages.keys()].toSorted()).toEqual([...expected.keys()].toSorted());
          for (const [key, page] of expected) expect(pages.get(key)?.equals(page)).toBe(true);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('is many pieces when there is much, and none of them is written over', async () => {
    const all = 3 * (memoryLimits.pieceBytes / pageBytes) * memoryLimits.piecesMax + 5;
    const bytes = await written(async (out) => {
      for (let page = 0; page < all; page += 1) await out.pages(1, page * pageBytes, pageOf(page));
    });
    const { pages } = await arrived(inPieces(bytes));
    expect(pages.size).toBe(all);
    for (let page = 0; page < all; page += 1) {
      expect(pages.get(`1:${page * pageBytes}`)?.equals(pageOf(page))).toBe(true);
    }
  });

  it('has no record of more pages than a reader holds', async () => {
    const pages = memoryLimits.recordPagesMax + 1;
    const bytes = await written(async (out) => {
      await out.pages(1, 0, Buffer.alloc(pages * pageBytes));
      await out.pages(1, 0, Buffer.alloc(pages * pageBytes, 1));
      await out.stale(1, { start: 0, pages });
    });
    const counts = cutIntoRecords(bytes).map((record) => readRecord(record, 0));
    expect(counts.slice(0, -1).map((record) => [record.kind, record.pages])).toEqual(
      (['zero', 'data', 'stale'] as const).flatMap((kind) => [
        [kind, memoryLimits.recordPagesMax],
        [kind, 1],
      ]),
    );
  });

  it('keeps notes in their order among the pages', async () => {
    const bytes = await written(async (out) => {
      await out.pages(3, 0, pageOf(1));
      await out.forget(3);
      await out.stale(4, { start: 8 * pageBytes, pages: 2 });
      await out.flush();
      await out.pages(3, 0, Buffer.alloc(pageBytes));
    });
    const kinds = cutIntoRecords(bytes).map((record) => readRecord(record, 0).kind);
    expect(kinds).toEqual(['data', 'forget', 'stale', 'zero', 'end']);
    const { notes } = await arrived(inPieces(bytes, 1000));
    expect(notes).toMatchObject([
      { kind: 'forget', pid: 3 },
      { kind: 'stale', pid: 4, address: 8 * pageBytes, pages: 2 },
      { kind: 'zero', pid: 3, address: 0, pages: 1 },
    ]);
  });

  it('ends when its wire fails', async () => {
    const { createRecordWriter } = await import('../../../src/memory/write-records.ts');
    const out = createRecordWriter([
      async () => {
        throw new Error('no wire');
      },
    ]);
    await out.pages(1, 0, pageOf(1));
    await expect(out.end()).rejects.toThrow('no wire');
  });
});

describe('several streams at once', () => {
  /** More than a piece each. */
  const pages = 1_000;
  const sendMany = async (out: RecordWriter): Promise<void> => {
    for (let page = 0; page < pages; page += 10) {
      const seeds = Array.from({ length: 10 }, (_, at) => page + at + 1);
      await out.pages(1, page * pageBytes, contentOf(seeds));
    }
  };

  it('are each whole, and hold every page once, whoever is the slowest', async () => {
    const streams = await writtenByLanes(3, sendMany);
    const all = await Promise.all(streams.map((stream) => arrived(inPieces(stream))));
    expect(all.every(({ pages }) => pages.size > 0)).toBe(true);
    expect(all.reduce((sum, one) => sum + one.pages.size, 0)).toBe(pages);
    const found = new Map(all.flatMap((one) => [...one.pages]));
    for (let page = 0; page < pages; page += 1) {
      expect(found.get(`1:${page * pageBytes}`)?.equals(pageOf(page + 1))).toBe(true);
    }
  });

  it('become one where the order counts', async () => {
    const streams = await writtenByLanes(3, async (out) => {
      await out.forget(1);
      await sendMany(out);
    });
    const all = await Promise.all(streams.map((stream) => arrived(inPieces(stream))));
    expect(all.map((one) => one.pages.size)).toEqual([pages, 0, 0]);
    expect(all[0]?.notes).toMatchObject([{ kind: 'forget', pid: 1 }]);
  });
});

describe('a stream that was changed on its way', () => {
  let stream: Buffer;
  let records: Buffer[];
  beforeAll(async () => {
    stream = await written(async (out) => {
      await out.pages(1, 16 * pageBytes, contentOf([1, 2, 0, 0, 3]));
      await out.forget(2);
      await out.pages(2, 0, contentOf([0, 4]));
      await out.stale(1, { start: 17 * pageBytes, pages: 1 });
    });
    records = cutIntoRecords(stream);
  });
  const read = (parts: readonly Uint8Array[]) => codeOf(arrived(inPieces(Buffer.concat(parts))));

  it('is accepted when it was not', async () => {
    expect(await read(records)).toBe('accepted');
  });

  it('is refused with any bit flipped', async () => {
    const refusals = new Set(['BUNDLE_UNSAFE', 'BUNDLE_CORRUPT', 'BUNDLE_TRUNCATED']);
    const flipped = async (bit: number): Promise<string> => {
      const copy = Buffer.from(stream);
      copy.writeUInt8(copy.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      return read([copy]);
    };
    let start = 0;
    for (const record of records) {
      for (let bit = 0; bit < 24 * 8; bit += 1) {
        expect(refusals, `bit ${bit} of the record at ${start}`).toContain(
          await flipped(start * 8 + bit),
        );
      }
      start += record.length;
    }
    await fc.assert(
      fc.asyncProperty(fc.nat(stream.length * 8 - 1), async (bit) => {
        expect(refusals).toContain(await flipped(bit));
      }),
    );
  });

  it('is refused with any record lost, doubled, or in another place', async () => {
    const end = records.length - 1;
    for (const at of records.keys()) {
      const lost = records.toSpliced(at, 1);
      expect(await read(lost)).toBe(at === end ? 'BUNDLE_TRUNCATED' : 'BUNDLE_CORRUPT');
      const doubled = records.toSpliced(at, 0, records[at] as Buffer);
      expect(await read(doubled)).toBe(at === end ? 'BUNDLE_UNSAFE' : 'BUNDLE_CORRUPT');
      if (at >= end - 1) continue;
      const [one, other] = [records[at] as Buffer, records[at + 1] as Buffer];
      expect(await read(records.toSpliced(at, 2, other, one))).toBe('BUNDLE_CORRUPT');
    }
  });

  it('is refused wherever it was cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(stream.length - 1), async (bytes) => {
        expect(await read([stream.subarray(0, bytes)])).toBe('BUNDLE_TRUNCATED');
      }),
    );
  });

  it('is refused with anything behind its end', async () => {
    expect(await read([stream, Buffer.alloc(1)])).toBe('BUNDLE_UNSAFE');
    expect(await read([stream, stream])).toBe('BUNDLE_UNSAFE');
  });
});
