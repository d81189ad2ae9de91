import { Writable } from 'node:stream';
import { asMigrateError } from '../base/errors.ts';
import { bundleLimits } from './limits.ts';

/**
 * Where a bundle goes. `write` resolves when the sink takes more; it may still hold the bytes then,
 * so whoever hands them over never writes into them again.
 */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<void>;
}

/** Bytes on their way into a sink, small ones gathered, one write under way at a time. */
export interface Output {
  /** Bytes given so far. */
  readonly bytes: number;
  /** Adds bytes. Resolves when the write before the last one is done: hashing runs beside it. */
  add(bytes: Uint8Array): Promise<void>;
  /** Resolves when everything is with the sink, and a Writable has let go of it. */
  flush(): Promise<void>;
}

/** A failed write surfaces at the next call as TRANSFER_FAILED. The sink is never ended. */
export function createOutput(target: Writable | ByteSink): Output {
  const sink = target instanceof Writable ? writableSink(target) : plainSink(target);
  let gathered: Uint8Array[] = [];
  let gatheredBytes = 0;
  let bytes = 0;
  let underWay: Promise<void> = Promise.resolve();

  async function send(pieces: readonly Uint8Array[]): Promise<void> {
    await underWay;
    underWay = writeAll(sink, pieces);
    // The rejection is reported by the next await; without this it would also end the process.
    underWay.catch(() => undefined);
  }
  function takeGathered(): Uint8Array[] {
    const pieces = gathered.length > 1 ? [Buffer.concat(gathered, gatheredBytes)] : gathered;
    gathered = [];
    gatheredBytes = 0;
    return pieces;
  }
  return {
    get bytes() {
      return bytes;
    },
    async add(piece) {
      bytes += piece.length;
      if (piece.length > bundleLimits.gatheredPayloadBytesMax) {
        return send([...takeGathered(), piece]);
      }
      gathered.push(piece);
      gatheredBytes += piece.length;
      if (gatheredBytes > bundleLimits.gatheredBytesMax) await send(takeGathered());
    },
    async flush() {
      await send(takeGathered());
      await underWay;
      await sink.drained();
    },
  };
}

interface DrainedSink extends ByteSink {
  drained(): Promise<void>;
}

async function writeAll(sink: ByteSink, pieces: readonly Uint8Array[]): Promise<void> {
  try {
    for (const piece of pieces) await sink.write(piece);
  } catch (error) {
    throw asMigrateError(error, 'TRANSFER_FAILED');
  }
}

function plainSink(sink: ByteSink): DrainedSink {
  return { write: (bytes) => sink.write(bytes), drained: async () => undefined };
}

/** Back-pressure by the high-water mark of the stream; its error fails the next call. */
function writableSink(stream: Writable): DrainedSink {
  let last: Promise<void> = Promise.resolve();
  // An 'error' event without a listener would end the process; the write's callback reports it.
  stream.on('error', () => undefined);
  return {
    async write(bytes) {
      let room = true;
      const written = new Promise<void>((resolve, reject) => {
        room = stream.write(bytes, (error) => (error ? reject(error) : resolve()));
      });
      written.catch(() => undefined);
      last = Promise.all([last, written]).then(() => undefined);
      last.catch(() => undefined);
      if (!room || stream.destroyed) await written;
    },
    async drained() {
      try {
        await last;
      } catch (error) {
        throw asMigrateError(error, 'TRANSFER_FAILED');
      }
    },
  };
}
