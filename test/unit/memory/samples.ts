import { setImmediate as turn } from 'node:timers/promises';
import { readRecords } from '../../../src/memory/read-records.ts';
import { type PageRecord, readRecord, recordBytes } from '../../../src/memory/records.ts';
import { createRecordWriter, type RecordWriter } from '../../../src/memory/write-records.ts';

export const pageBytes = 4096;

/** A page that can't be mistaken for another one. */
export function pageOf(seed: number): Buffer {
  const page = Buffer.alloc(pageBytes);
  for (let at = 0; at < pageBytes; at += 8) page.writeDoubleLE(seed + at / pageBytes + 1, at);
  return page;
}

/** What a writer writes, through a wire that takes its time: bytes must stay until then. */
export async function written(send: (out: RecordWriter) => Promise<void>): Promise<Buffer> {
  const [only] = await writtenByLanes(1, send);
  return only as Buffer;
}

/** The same by several streams, the first of which is the slowest. */
export async function writtenByLanes(
  count: number,
  send: (out: RecordWriter) => Promise<void>,
): Promise<Buffer[]> {
  const lanes = Array.from({ length: count }, (): Buffer[] => []);
  const out = createRecordWriter(
    lanes.map((pieces, at) => async (bytes) => {
      for (let turns = at; turns < count; turns += 1) await turn();
      pieces.push(Buffer.from(bytes));
    }),
  );
  await send(out);
  await out.end();
  return lanes.map((pieces) => Buffer.concat(pieces));
}

export interface Arrived {
  /** Content by process and address, as `7:4096`; a page of zeros as well. */
  readonly pages: Map<string, Buffer>;
  readonly notes: PageRecord[];
}

/** Reads a stream as a target does, and keeps all of it. */
export async function arrived(source: AsyncIterable<Uint8Array>): Promise<Arrived> {
  const pages = new Map<string, Buffer>();
  const notes: PageRecord[] = [];
  const keep = ({ pid, address }: PageRecord, at: number, content: Buffer): void => {
    pages.set(`${pid}:${address + at * pageBytes}`, Buffer.from(content));
  };
  await readRecords(source, {
    data(record, content) {
      for (let at = 0; at < record.pages; at += 1) {
        keep(record, at, content.subarray(at * pageBytes, (at + 1) * pageBytes));
      }
    },
    note(record) {
      notes.push(record);
      if (record.kind !== 'zero') return;
      for (let at = 0; at < record.pages; at += 1) keep(record, at, Buffer.alloc(pageBytes));
    },
  });
  return { pages, notes };
}

/** The records of a stream, each with the pages behind it. */
export function cutIntoRecords(stream: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < stream.length; ) {
    const { kind, pages } = readRecord(stream, at);
    const end = at + recordBytes + (kind === 'data' ? pages * pageBytes : 0);
    found.push(stream.subarray(at, end));
    at = end;
  }
  return found;
}
