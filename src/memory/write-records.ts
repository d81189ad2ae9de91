import { crc32 } from 'node:zlib';
import { memoryLimits } from './limits.ts';
import type { PageRun } from './pages.ts';
import { createRecordSum, putRecord, type RecordKind, recordBytes } from './records.ts';

/** Takes bytes that it may keep until its promise resolves. */
export type Write = (bytes: Uint8Array) => Promise<void>;

/** The sending end of one stream of records. Nothing is copied twice, and nothing piles up. */
export interface RecordWriter {
  /** Pages of one process, those of zeros elided; `content` may be used again at once. */
  pages(pid: number, address: number, content: Buffer): Promise<void>;
  /** What was sent of these pages is old. */
  stale(pid: number, run: PageRun): Promise<void>;
  /** What was sent of that process is not of the one that has its number now. */
  forget(pid: number): Promise<void>;
  /** Pushes out what was gathered. */
  flush(): Promise<void>;
  /** The end of the stream. */
  end(): Promise<void>;
  readonly sent: SentPages;
}

export interface SentPages {
  /** Pages that travelled. */
  readonly data: number;
  /** Pages of which it was enough to say that they are zeros. */
  readonly zero: number;
}

const { pageBytes, pieceBytes, piecesMax, piecesPerLane, recordPagesMax } = memoryLimits;
/** A piece holds a piece of memory and, at worst, a record for every page of it. */
const roomBytes = pieceBytes + (pieceBytes / pageBytes + 1) * recordBytes;

/**
 * Each of the writes is a stream of its own, whole in itself; a piece goes to the one that has
 * least before it. Once something is said that counts for what follows, all goes to the first.
 */
export function createRecordWriter(writes: readonly Write[]): RecordWriter {
  const lanes = writes.map(openLane);
  const pieces = piecesMax + (lanes.length - 1) * piecesPerLane;
  const buffers = Array.from({ length: pieces }, () => Buffer.allocUnsafeSlow(roomBytes));
  const underWay: Promise<void>[] = buffers.map(() => Promise.resolve());
  const sent = { data: 0, zero: 0 };
  let inOrder = false;
  let turn = 0;
  let filled = 0;
  let records: Buffer[] = [];
  let buffer = buffers[0] as Buffer;

  async function flush(): Promise<void> {
    if (filled === 0) return;
    const [first, ...others] = lanes as [Lane, ...Lane[]];
    const free = (one: Lane, other: Lane): Lane => (other.waiting < one.waiting ? other : one);
    const lane = inOrder ? first : others.reduce(free, first);
    underWay[turn] = lane.send(buffer.subarray(0, filled), records);
    turn = (turn + 1) % pieces;
    await underWay[turn];
    buffer = buffers[turn] as Buffer;
    filled = 0;
    records = [];
  }

  async function room(bytes: number): Promise<void> {
    if (filled + bytes > roomBytes) await flush();
  }

  function put(kind: RecordKind, pid: number, { start, pages }: PageRun, crc: number): void {
    const from = filled;
    filled = putRecord(buffer, filled, { kind, pid, address: start, pages, crc });
    records.push(buffer.subarray(from, filled));
  }

  return {
    sent,
    async pages(pid, address, content) {
      const all = content.length / pageBytes;
      for (let at = 0; at < all; ) {
        const isZero = isZeroPage(content, at);
        let count = 1;
        while (at + count < all && isZeroPage(content, at + count) === isZero) {
          if (count === recordPagesMax) break;
          count += 1;
        }
        const run = { start: address + at * pageBytes, pages: count };
        if (isZero) {
          await room(recordBytes);
          put('zero', pid, run, 0);
          sent.zero += count;
        } else {
          const bytes = content.subarray(at * pageBytes, (at + count) * pageBytes);
          await room(recordBytes + bytes.length);
          put('data', pid, run, crc32(bytes));
          filled += bytes.copy(buffer, filled);
          sent.data += count;
        }
        at += count;
      }
    },
    async stale(pid, { start, pages }) {
      inOrder = true;
      for (let at = 0; at < pages; at += recordPagesMax) {
        const run = { start: start + at * pageBytes, pages: Math.min(recordPagesMax, pages - at) };
        await room(recordBytes);
        put('stale', pid, run, 0);
      }
    },
    async forget(pid) {
      inOrder = true;
      await room(recordBytes);
      put('forget', pid, { start: 0, pages: 0 }, 0);
    },
    flush,
    async end() {
      await flush();
      await Promise.all(lanes.map((lane) => lane.end()));
    },
  };
}

interface Lane {
  /** Pieces that have not been written yet. */
  readonly waiting: number;
  /** Writes a piece behind those before it; `records` are the records in it. */
  send(piece: Uint8Array, records: readonly Uint8Array[]): Promise<void>;
  /** Writes the last record; resolves when all has been written. */
  end(): Promise<void>;
}

function openLane(write: Write): Lane {
  const sum = createRecordSum();
  let last: Promise<void> = Promise.resolve();
  let waiting = 0;
  const send = (piece: Uint8Array): Promise<void> => {
    waiting += 1;
    last = last
      .then(() => write(piece))
      .finally(() => {
        waiting -= 1;
      });
    last.catch(() => undefined);
    return last;
  };
  return {
    get waiting() {
      return waiting;
    },
    send(piece, records) {
      for (const record of records) sum.add(record);
      return send(piece);
    },
    end() {
      const total = { kind: 'end', pid: 0, address: 0, pages: sum.count, crc: sum.crc } as const;
      const record = Buffer.alloc(recordBytes);
      putRecord(record, 0, total);
      return send(record);
    },
  };
}

const zeros = Buffer.alloc(pageBytes);

/** 13 GB/s here, and most pages differ in their first bytes. */
function isZeroPage(content: Buffer, page: number): boolean {
  const from = page * pageBytes;
  return zeros.equals(content.subarray(from, from + pageBytes));
}
