import { errorFromRecord, MigrateError, type Side } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { chunkCost, transportLimits } from './limits.ts';
import { type Message, type MessageOf, recordOf } from './message.ts';
import type { Pacer } from './pacer.ts';

/** The sending end of one stream. Its methods may be called without waiting; order is kept. */
export interface Sink {
  /**
   * Resolves when the bytes have left this program's buffers, so `chunk` may be used again then.
   * Of any length; it is cut into chunks of at most `limits.chunkBytesMax`. Rejects with what the
   * consumer failed with (`side` says whose error it is), or CONNECTION_LOST.
   */
  write(chunk: Uint8Array): Promise<void>;
  /** Resolves when the consumer has finished; rejects with what it failed with. */
  end(): Promise<void>;
  /** Gives up: the consumer sees `error`, whatever was not read yet is dropped. Never fails. */
  abort(error: unknown): void;
}

/** What the link tells a sink about the other end. */
export interface SinkControl {
  credit(bytes: number): void;
  done(): void;
  stop(message: MessageOf<'stop'>): void;
  fail(error: MigrateError): void;
}

export interface SinkContext {
  readonly id: number;
  readonly name: string;
  readonly send: (message: Message) => void;
  /** Resolves when the payload has left our buffers. */
  readonly sendChunk: (id: number, payload: Uint8Array) => Promise<void>;
  readonly pacer: Pacer;
  readonly remoteSide: Side;
  /** The sink needs no more news from the link. */
  readonly onClosed: () => void;
}

export function createSink(context: SinkContext): Sink & SinkControl {
  const { id, name } = context;
  let creditLeft: number = transportLimits.streamWindowBytes;
  let state: 'open' | 'ending' | 'done' | MigrateError = 'open';
  let tail: Promise<void> = Promise.resolve();
  /** At most one operation runs at a time, so at most one waits for news. */
  let wake: (() => void) | undefined;

  function change(next: 'done' | MigrateError): void {
    if (state === 'done' || state instanceof MigrateError) return;
    state = next;
    context.onClosed();
    wake?.();
  }

  function queue(operation: () => Promise<void>): Promise<void> {
    const result = tail.then(operation);
    tail = result.catch(() => undefined);
    return result;
  }

  async function until(isReady: () => boolean): Promise<void> {
    while (!isReady() && !(state instanceof MigrateError)) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (state instanceof MigrateError) throw state;
  }

  async function writeAll(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.byteLength; at += limits.chunkBytesMax) {
      const piece = chunk.subarray(at, at + limits.chunkBytesMax);
      const cost = chunkCost(piece.byteLength);
      await until(() => creditLeft >= cost);
      if (state !== 'open') throw new MigrateError('INTERNAL', `stream ${name} was ended already`);
      creditLeft -= cost;
      await context.pacer.take(piece.byteLength);
      await until(() => true);
      await context.sendChunk(id, piece);
    }
  }

  async function finish(): Promise<void> {
    await until(() => true);
    if (state === 'open') {
      state = 'ending';
      context.send({ t: 'end', s: id });
    }
    await until(() => state === 'done');
  }

  return {
    write: (chunk) => queue(() => writeAll(chunk)),
    end: () => queue(finish),
    abort(error) {
      if (state !== 'open' && state !== 'ending') return;
      const record = recordOf(error);
      context.send({ t: 'abort', s: id, e: record });
      change(errorFromRecord(record));
    },
    credit(bytes) {
      creditLeft += bytes;
      if (creditLeft > transportLimits.streamWindowBytes) {
        throw new MigrateError('PROTOCOL', `the peer gave more credit than stream ${name} used`);
      }
      wake?.();
    },
    done() {
      if (state === 'ending') change('done');
      else change(new MigrateError('TRANSFER_FAILED', `stream ${name} was not read to its end`));
    },
    stop(message) {
      change(errorFromRecord(message.e).with({ side: context.remoteSide }));
    },
    fail: change,
  };
}
