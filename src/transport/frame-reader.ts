import { MigrateError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { transportLimits } from './limits.ts';
import { decodeMessage, type Message, prefixBytes } from './message.ts';

export interface Frame {
  readonly message: Message;
  /** Bytes of the header, for accounting. */
  readonly headerBytes: number;
  /** Empty unless the message is `data`. Belongs to the receiver. */
  readonly payload: Uint8Array;
}

/**
 * Cuts a byte stream into frames. `push` takes the next bytes, however they were split, and hands
 * each whole frame to `onFrame` before it returns. Lengths are checked before memory is allocated
 * for them. Throws PROTOCOL; after that the reader must not be used again.
 */
export interface FrameReader {
  push(bytes: Uint8Array): void;
}

export function createFrameReader(onFrame: (frame: Frame) => void): FrameReader {
  const prefix = Buffer.alloc(prefixBytes);
  let prefixFilled = 0;
  let headerBytes = 0;
  /** A body that arrives in pieces is assembled here; one that arrives whole is never copied. */
  let body: Buffer | undefined;
  let bodyFilled = 0;

  function deliver(bytes: Uint8Array, isOurs: boolean): void {
    prefixFilled = 0;
    const message = decodeMessage(bytes.subarray(0, headerBytes));
    const payload = bytes.subarray(headerBytes);
    if (payload.byteLength > 0 !== (message.t === 'data')) {
      throw new MigrateError('PROTOCOL', 'a payload belongs to data messages, and to them alone');
    }
    const isCopied = !isOurs && payload.byteLength < transportLimits.chunkViewBytesMin;
    onFrame({ message, headerBytes, payload: isCopied ? Buffer.from(payload) : payload });
  }

  function takePrefix(bytes: Uint8Array): number {
    const taken = Math.min(prefixBytes - prefixFilled, bytes.byteLength);
    prefix.set(bytes.subarray(0, taken), prefixFilled);
    prefixFilled += taken;
    if (prefixFilled === prefixBytes) headerBytes = checkedLengths(prefix).headerBytes;
    return taken;
  }

  function takeBody(bytes: Uint8Array): number {
    const bodyBytes = headerBytes + prefix.readUInt32LE(4);
    if (body === undefined && bytes.byteLength >= bodyBytes) {
      deliver(bytes.subarray(0, bodyBytes), false);
      return bodyBytes;
    }
    body ??= Buffer.allocUnsafeSlow(bodyBytes);
    const taken = Math.min(bodyBytes - bodyFilled, bytes.byteLength);
    body.set(bytes.subarray(0, taken), bodyFilled);
    bodyFilled += taken;
    if (bodyFilled === bodyBytes) {
      const whole = body;
      body = undefined;
      bodyFilled = 0;
      deliver(whole, true);
    }
    return taken;
  }

  return {
    push(bytes) {
      let at = 0;
      while (at < bytes.byteLength) {
        const rest = bytes.subarray(at);
        at += prefixFilled < prefixBytes ? takePrefix(rest) : takeBody(rest);
      }
    },
  };
}

/** Reads and checks a frame's two lengths. Throws PROTOCOL. */
export function checkedLengths(prefix: Buffer): { headerBytes: number; payloadBytes: number } {
  const headerBytes = prefix.readUInt32LE(0);
  const payloadBytes = prefix.readUInt32LE(4);
  if (headerBytes === 0 || headerBytes > limits.messageBytesMax) {
    throw new MigrateError('PROTOCOL', `the peer announced a message of ${headerBytes} bytes`);
  }
  if (payloadBytes > limits.chunkBytesMax) {
    throw new MigrateError('PROTOCOL', `the peer announced a chunk of ${payloadBytes} bytes`);
  }
  return { headerBytes, payloadBytes };
}
