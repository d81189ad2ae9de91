import { MigrateError } from '../base/errors.ts';
import { bundleLimits } from './limits.ts';

/**
 * Walks one msgpack value without building it, and throws BUNDLE_UNSAFE unless it is plain: nil,
 * booleans, numbers, strings, binaries, arrays and maps, nested at most `headerDepthMax` deep,
 * every length inside `bytes`, nothing behind it. The decoder that comes after recurses, allocates
 * by announced lengths and knows extensions (0x72 defines records); it gets none of these from us.
 */
export function assertPlainMsgpack(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const itemsLeft = [1];
  let offset = 0;
  while (itemsLeft.length > 0) {
    const depth = itemsLeft.length - 1;
    const left = itemsLeft[depth] ?? 0;
    if (left === 0) {
      itemsLeft.pop();
      continue;
    }
    itemsLeft[depth] = left - 1;
    const token = readToken(view, offset);
    offset += token.bytes;
    // Every item needs a byte, so this also bounds the walk by the length of the header.
    if (offset + token.items > bytes.length) throw unsafe('ends inside a value', offset);
    if (token.items > 0) itemsLeft.push(token.items);
    if (itemsLeft.length > bundleLimits.headerDepthMax + 1) throw unsafe('nests too deep', offset);
  }
  if (offset !== bytes.length) throw unsafe('goes on behind its value', offset);
}

interface Token {
  /** Bytes of the token, the content of strings and binaries included. */
  readonly bytes: number;
  /** Values that follow and belong to it: elements of an array, keys and values of a map. */
  readonly items: number;
}

function readToken(view: DataView, offset: number): Token {
  if (offset >= view.byteLength) throw unsafe('ends inside a value', offset);
  const type = view.getUint8(offset);
  if (type < 0x80 || type >= 0xe0) return { bytes: 1, items: 0 };
  if (type < 0x90) return { bytes: 1, items: 2 * (type & 0x0f) };
  if (type < 0xa0) return { bytes: 1, items: type & 0x0f };
  if (type < 0xc0) return { bytes: 1 + (type & 0x1f), items: 0 };
  const fixed = fixedBytes.get(type);
  if (fixed !== undefined) return { bytes: fixed, items: 0 };
  const counted = countedTypes.get(type);
  if (counted === undefined) throw unsafe(`holds the type 0x${type.toString(16)}`, offset);
  const count = readCount(view, offset + 1, counted.countBytes);
  const bytes = 1 + counted.countBytes;
  return counted.per === 0
    ? { bytes: bytes + count, items: 0 }
    : { bytes, items: counted.per * count };
}

/** Nil, false, true, float 64, unsigned and signed integers up to 32 bits. */
const fixedBytes: ReadonlyMap<number, number> = new Map([
  [0xc0, 1],
  [0xc2, 1],
  [0xc3, 1],
  [0xcb, 9],
  [0xcc, 2],
  [0xcd, 3],
  [0xce, 5],
  [0xd0, 2],
  [0xd1, 3],
  [0xd2, 5],
]);

/** Binaries, strings, arrays and maps whose count follows; `per` is values for each counted. */
const countedTypes: ReadonlyMap<number, { countBytes: 1 | 2 | 4; per: 0 | 1 | 2 }> = new Map([
  [0xc4, { countBytes: 1, per: 0 }],
  [0xc5, { countBytes: 2, per: 0 }],
  [0xc6, { countBytes: 4, per: 0 }],
  [0xd9, { countBytes: 1, per: 0 }],
  [0xda, { countBytes: 2, per: 0 }],
  [0xdb, { countBytes: 4, per: 0 }],
  [0xdc, { countBytes: 2, per: 1 }],
  [0xdd, { countBytes: 4, per: 1 }],
  [0xde, { countBytes: 2, per: 2 }],
  [0xdf, { countBytes: 4, per: 2 }],
]);

function readCount(view: DataView, offset: number, bytes: 1 | 2 | 4): number {
  if (offset + bytes > view.byteLength) throw unsafe('ends inside a value', offset);
  if (bytes === 1) return view.getUint8(offset);
  return bytes === 2 ? view.getUint16(offset) : view.getUint32(offset);
}

function unsafe(what: string, offset: number): MigrateError {
  return new MigrateError('BUNDLE_UNSAFE', `a header ${what}, at its byte ${offset}`);
}
