import { type Filter, startFilter } from '../host/filter.ts';
import { run } from '../host/run.ts';
import type { Write } from './write-records.ts';

/** How a stream of memory is packed for the wire. zstd(1) leaves what does not shrink as it is. */
export type Encoding = 'none' | 'zstd';
export const encodings: readonly Encoding[] = ['none', 'zstd'];

/** Level 1: the fastest, and most of the gain. */
const packing = ['-1', '-q', '-c', '-T1'];
const unpacking = ['-d', '-q', '-c'];

/** Whether this host has the program; asked of both hosts of a move. */
export async function hasZstd(): Promise<boolean> {
  return run('zstd', ['--version']).then(
    () => true,
    () => false,
  );
}

/** A packer that has started already: the frozen window need not wait for it. */
export function armPacker(): Filter {
  return startFilter('zstd', packing);
}

/** Runs `send` with a writer whose bytes reach `write` packed; resolves when all of them have. */
export async function packed<T>(
  filter: Filter,
  write: Write,
  send: (write: Write) => Promise<T>,
): Promise<T> {
  const out = (async () => {
    for await (const piece of filter.output) await write(piece);
  })();
  out.catch(() => filter.cancel());
  try {
    const result = await send((bytes) => filter.write(bytes));
    filter.end();
    await out;
    return result;
  } catch (error) {
    filter.cancel();
    // What the wire said is the reason, if it said anything.
    await out.catch((first: unknown) => {
      throw error instanceof Error && 'code' in error && error.code === 'PROGRAM_FAILED'
        ? first
        : error;
    });
    throw error;
  }
}

/** The same with several streams, each packed by itself; no filters, no packing. */
export function packedAll<T>(
  filters: readonly Filter[],
  writes: readonly Write[],
  send: (writes: readonly Write[]) => Promise<T>,
): Promise<T> {
  const packFrom = (at: number, done: readonly Write[]): Promise<T> => {
    const [filter, write] = [filters[at], writes[at]];
    if (write === undefined) return send(done);
    if (filter === undefined) return packFrom(at + 1, [...done, write]);
    return packed(filter, write, (one) => packFrom(at + 1, [...done, one]));
  };
  return packFrom(0, []);
}

/** A packed stream as it was. */
export async function* unpacked(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const filter = startFilter('zstd', unpacking);
  let failure: { error: unknown } | undefined;
  const fed = (async () => {
    for await (const piece of source) await filter.write(piece);
    filter.end();
  })().catch((error: unknown) => {
    failure = { error };
    filter.cancel();
  });
  try {
    yield* filter.output;
  } catch (error) {
    throw failure === undefined ? error : failure.error;
  } finally {
    filter.cancel();
    await fed;
  }
}
