import { type Options, Packr } from 'msgpackr/index-no-eval';
import { MigrateError } from '../base/errors.ts';
import { bundleLimits } from './limits.ts';
import { assertPlainMsgpack } from './plain-msgpack.ts';

/** The package's types do not know `skipValues`, which leaves absent optional fields out. */
const options: Options & { skipValues: readonly unknown[] } = {
  useRecords: false,
  variableMapSize: true,
  skipValues: [undefined],
};
const packr = new Packr(options);

/** One header as it stands in a bundle: u32 little-endian length, then that many msgpack bytes. */
export function encodeHeader(value: Readonly<Record<string, unknown>>): Buffer {
  const packed = packr.pack(value);
  if (packed.length > bundleLimits.headerBytesMax) {
    throw new MigrateError(
      'BUNDLE_UNSAFE',
      `a header of ${packed.length} bytes is larger than ${bundleLimits.headerBytesMax}`,
    );
  }
  const framed = Buffer.allocUnsafe(lengthBytes + packed.length);
  framed.writeUInt32LE(packed.length, 0);
  framed.set(packed, lengthBytes);
  return framed;
}

/**
 * Decodes msgpack from outside. There is exactly one spelling of every value: what does not pack
 * back to the same bytes (a second equal key, `__proto__`, bad UTF-8, a longer form of a number)
 * is refused, and that is what makes every flipped bit of a header visible. Throws BUNDLE_UNSAFE.
 * Binary values in the result are views of `bytes`.
 */
export function decodeHeader(bytes: Uint8Array): unknown {
  assertPlainMsgpack(bytes);
  const value = unpack(bytes);
  const again = packr.pack(value);
  if (Buffer.compare(again, bytes) !== 0) {
    throw new MigrateError('BUNDLE_UNSAFE', 'a header is not in the canonical form');
  }
  return value;
}

/** Bytes of the length in front of every header. */
export const lengthBytes = 4;

function unpack(bytes: Uint8Array): unknown {
  try {
    return packr.unpack(bytes);
  } catch (error) {
    throw new MigrateError('BUNDLE_UNSAFE', 'a header is not msgpack', { cause: error });
  }
}
