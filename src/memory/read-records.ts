import { crc32 } from 'node:zlib';
import { MigrateError } from '../base/errors.ts';
import { memoryLimits } from './limits.ts';
import { createRecordSum, type PageRecord, readRecord, recordBytes } from './records.ts';

/** Where the records of a stream go. */
export interface PageSink {
  /** Pages at an address; the buffer is used again afterwards. */
  data(record: PageRecord, content: Buffer): Promise<void> | void;
  /** Records without pages, in their order among the others. */
  note(record: PageRecord): void;
}

/**
 * Reads one stream of records to its end. Throws BUNDLE_UNSAFE for what no sender writes,
 * BUNDLE_CORRUPT for a checksum that is wrong, BUNDLE_TRUNCATED for a stream without its `end`.
 */
export async function readRecords(
  source: AsyncIterable<Uint8Array>,
  sink: PageSink,
): Promise<void> {
  const sum = createRecordSum();
  const header = Buffer.alloc(recordBytes);
  const content = Buffer.allocUnsafeSlow(memoryLimits.recordPagesMax * memoryLimits.pageBytes);
  let filled = 0;
  let record: PageRecord | undefined;
  let wanted = recordBytes;
  let hasEnded = false;

  /** The buffer is full: a record, or the pages of the one before. */
  async function take(): Promise<void> {
    if (record !== undefined) {
      const pages = content.subarray(0, wanted);
      if (crc32(pages) !== record.crc) throw corrupt('pages');
      await sink.data(record, pages);
      record = undefined;
      wanted = recordBytes;
      return;
    }
    const read = readRecord(header, 0);
    if (read.kind === 'end') {
      if (read.pages !== sum.count || read.crc !== sum.crc) {
        throw corrupt(`the records, ${sum.count} of ${read.pages},`);
      }
      hasEnded = true;
      return;
    }
    sum.add(header);
    if (read.kind !== 'data') return sink.note(read);
    record = read;
    wanted = read.pages * memoryLimits.pageBytes;
  }

  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; ) {
      if (hasEnded) throw new MigrateError('BUNDLE_UNSAFE', 'memory goes on after its end');
      const into = record === undefined ? header : content;
      const count = Math.min(wanted - filled, chunk.length - at);
      into.set(chunk.subarray(at, at + count), filled);
      filled += count;
      at += count;
      if (filled < wanted) break;
      filled = 0;
      await take();
    }
  }
  if (!hasEnded) throw new MigrateError('BUNDLE_TRUNCATED', 'the memory ends before its end');
}

function corrupt(what: string): MigrateError {
  return new MigrateError('BUNDLE_CORRUPT', `the checksum of ${what} of the memory is wrong`);
}
