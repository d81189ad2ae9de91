import type { Readable, Writable } from 'node:stream';
import { asMigrateError, MigrateError } from '../base/errors.ts';
import { createFrameReader, type Frame } from './frame-reader.ts';
import { transportLimits } from './limits.ts';
import { encodeFrame, type Message } from './message.ts';

/**
 * Why a link ended. `closed`: one of the two sides said goodbye. `ended`: the bytes stopped without
 * a goodbye. `lost`: nothing was heard for too long, or the stream broke. `protocol`: the peer sent
 * something that it must not send.
 */
export interface LinkEnd {
  readonly how: 'closed' | 'ended' | 'lost' | 'protocol';
  /** What every operation that was under way failed with. */
  readonly error: MigrateError;
}

/** Frames over a pair of byte streams, with signs of life. It ends once, and says why. */
export interface Link {
  /** Sends at once, nothing after the end. Throws PROTOCOL when the message is too large. */
  send(message: Message): void;
  /** Resolves when the payload has left our buffers; rejects when the link ends before that. */
  sendChunk(id: number, payload: Uint8Array): Promise<void>;
  /** Says goodbye, lets it leave, closes both streams; waits `closeTimeoutMs` at most. */
  close(): Promise<void>;
  /** Tears the link down with a reason of the caller's. */
  fail(how: LinkEnd['how'], error: MigrateError): void;
}

export interface LinkOptions {
  readonly onFrame: (frame: Frame) => void;
  /** Called once, before anything else can happen on the link. */
  readonly onEnd: (end: LinkEnd) => void;
  /** Explains an end that nobody announced, for example by an exit status. */
  readonly explainEnd?: (() => Promise<string>) | undefined;
}

export function createLink(readable: Readable, writable: Writable, options: LinkOptions): Link {
  const chunks = new Set<(error: MigrateError) => void>();
  let isEnded = false;
  let heardAtMs = performance.now();

  function fail(how: LinkEnd['how'], error: MigrateError): void {
    if (isEnded) return;
    isEnded = true;
    clearInterval(timer);
    options.onEnd({ how, error });
    for (const reject of chunks) reject(error);
    if (how !== 'closed') destroyBoth(readable, writable);
  }

  async function explainAndFail(): Promise<void> {
    const why = (await options.explainEnd?.()) ?? 'the other side ended the connection';
    fail('ended', new MigrateError('CONNECTION_LOST', why));
  }

  function guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      fail('protocol', asMigrateError(error));
    }
  }

  function write(frame: Uint8Array): void {
    if (isEnded) return;
    if (writable.writableLength > transportLimits.outboxBytesMax) {
      fail('lost', new MigrateError('CONNECTION_LOST', 'the other side does not read'));
    } else {
      writable.write(frame);
    }
  }

  const timer = watchLife({
    beat: () => write(encodeFrame({ t: 'alive' })),
    heardAtMs: () => heardAtMs,
    forgive: () => {
      heardAtMs = performance.now();
    },
    die: (why) => fail('lost', new MigrateError('CONNECTION_LOST', why)),
  });
  const reader = createFrameReader((frame) => {
    if (isEnded) return;
    if (frame.message.t !== 'bye') return options.onFrame(frame);
    fail('closed', goodbye('the other side closed the connection'));
    void shutDown(readable, writable);
  });
  const onError = (cause: Error) =>
    fail('lost', new MigrateError('CONNECTION_LOST', cause.message, { cause }));
  const onStop = () => void explainAndFail();
  readable.on('error', onError).on('end', onStop).on('close', onStop);
  writable.on('error', onError).on('close', onStop);
  readable.on('data', (bytes: Uint8Array) => {
    heardAtMs = performance.now();
    if (!isEnded) guard(() => reader.push(bytes));
  });
  readable.resume();

  return {
    send: (message) => write(encodeFrame(message)),
    sendChunk(id, payload) {
      return new Promise((resolve, reject) => {
        if (isEnded) return reject(goodbye('the connection has ended'));
        chunks.add(reject);
        writable.cork();
        write(encodeFrame({ t: 'data', s: id }, payload.byteLength));
        writable.write(payload, () => {
          chunks.delete(reject);
          resolve();
        });
        writable.uncork();
      });
    },
    async close() {
      if (!isEnded) write(encodeFrame({ t: 'bye' }));
      fail('closed', goodbye('the connection was closed'));
      await shutDown(readable, writable);
    },
    fail,
  };
}

interface Life {
  readonly beat: () => void;
  readonly heardAtMs: () => number;
  readonly forgive: () => void;
  readonly die: (why: string) => void;
}

/** Sends signs of life and misses those of the peer. */
function watchLife(life: Life): NodeJS.Timeout {
  const { aliveEveryMs, deadAfterMs } = transportLimits;
  let lastTickMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    // A tick that comes late means that this process stood still: what came in is not read yet.
    if (nowMs - lastTickMs > 2 * aliveEveryMs) life.forgive();
    lastTickMs = nowMs;
    if (nowMs - life.heardAtMs() > deadAfterMs) {
      life.die(`nothing was heard from the other side for ${deadAfterMs / 1000} s`);
    } else {
      life.beat();
    }
  }, aliveEveryMs);
  return timer.unref();
}

function goodbye(message: string): MigrateError {
  return new MigrateError('CONNECTION_LOST', message);
}

/** Lets what was written leave, then closes. */
async function shutDown(readable: Readable, writable: Writable): Promise<void> {
  await endWritable(writable);
  destroyBoth(readable, writable);
}

function endWritable(writable: Writable): Promise<void> {
  if (writable.writableFinished || writable.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, transportLimits.closeTimeoutMs);
    writable.end(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function destroyBoth(readable: Readable, writable: Writable): void {
  readable.destroy();
  writable.destroy();
}
