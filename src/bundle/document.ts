import { decodeHeader, encodeHeader, lengthBytes } from './header.ts';

/** A document, such as a NetworkState, as the msgpack bytes of a section; 4 MiB at most. */
export function packDocument(value: Readonly<Record<string, unknown>>): Uint8Array {
  return encodeHeader(value).subarray(lengthBytes);
}

/** The value of such a section, plain but otherwise unchecked. Throws BUNDLE_UNSAFE. */
export function unpackDocument(bytes: Uint8Array): unknown {
  return decodeHeader(bytes);
}
