import { asMigrateError, MigrateError } from '../base/errors.ts';

/**
 * Exact reads from pieces of any size. Each read throws BUNDLE_TRUNCATED when the source ends
 * first, and TRANSFER_FAILED (or the source's own MigrateError) when the source fails.
 */
export interface ByteSource {
  /** Bytes given out so far. */
  readonly offset: number;
  /** Exactly `count` bytes, a copy when they spanned pieces. */
  take(count: number): Promise<Uint8Array>;
  /** Between 1 and `max` bytes, as they arrived, never copied. */
  takeSome(max: number): Promise<Uint8Array>;
  /** Whether nothing is left; waits for the source to end or to give more. */
  atEnd(): Promise<boolean>;
  /** Tells the source that nobody reads on; never throws. */
  close(): Promise<void>;
}

export function createByteSource(source: AsyncIterable<Uint8Array>): ByteSource {
  const iterator = source[Symbol.asyncIterator]();
  let piece: Uint8Array = new Uint8Array(0);
  let offset = 0;
  let ended = false;

  async function fill(): Promise<boolean> {
    while (piece.length === 0 && !ended) {
      const next = await nextPiece(iterator);
      if (next === undefined) ended = true;
      else piece = next;
    }
    return piece.length > 0;
  }
  async function takeSome(max: number): Promise<Uint8Array> {
    if (piece.length === 0 && !(await fill())) {
      throw new MigrateError('BUNDLE_TRUNCATED', `the bundle ends after ${offset} bytes`);
    }
    const taken = piece.subarray(0, max);
    piece = piece.subarray(taken.length);
    offset += taken.length;
    return taken;
  }
  return {
    get offset() {
      return offset;
    },
    takeSome,
    async take(count) {
      const first = await takeSome(count);
      if (first.length === count) return first;
      // One buffer, not a list of pieces: a peer may send a header one byte at a time.
      const whole = Buffer.allocUnsafe(count);
      whole.set(first);
      for (let filled = first.length; filled < count; ) {
        const more = await takeSome(count - filled);
        whole.set(more, filled);
        filled += more.length;
      }
      return whole;
    },
    async atEnd() {
      return !(await fill());
    },
    async close() {
      piece = new Uint8Array(0);
      if (ended) return;
      ended = true;
      // The reader's own result is the news; a source that fails to close changes nothing in it.
      await Promise.resolve(iterator.return?.()).catch(() => undefined);
    },
  };
}

async function nextPiece(iterator: AsyncIterator<Uint8Array>): Promise<Uint8Array | undefined> {
  try {
    const result = await iterator.next();
    return result.done ? undefined : result.value;
  } catch (error) {
    throw asMigrateError(error, 'TRANSFER_FAILED');
  }
}
