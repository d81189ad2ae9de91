import { Packr, Unpackr } from 'msgpackr/index-no-eval';
import { assert } from '../base/assert.ts';
import { MigrateError } from '../base/errors.ts';
import { transportLimits } from './limits.ts';

// `skipValues` is documented and missing from the package's types, hence a constant of its own.
const packOptions = { useRecords: false, variableMapSize: true, skipValues: [undefined] };
const packr = new Packr(packOptions);
const unpackr = new Unpackr({ useRecords: false });

/**
 * A plain value (null, booleans, numbers, strings, bytes, arrays, objects) as msgpack. Fields that
 * are undefined are left out. Anything else (Date, Map, class instances with extensions) is
 * INTERNAL: the other side would refuse it.
 */
export function packValue(value: unknown): Buffer {
  const bytes = packr.pack(value === undefined ? null : value);
  assert(findFlaw(bytes) === undefined, 'a message holds plain values only');
  return bytes;
}

/**
 * The inverse, for bytes of a peer. The structure is walked before anything is allocated from a
 * length in it. Byte strings in the result are views of `bytes`. Throws PROTOCOL.
 */
export function unpackValue(bytes: Uint8Array): unknown {
  const flaw = findFlaw(bytes);
  if (flaw !== undefined) throw new MigrateError('PROTOCOL', `a message of the peer ${flaw}`);
  try {
    return unpackr.unpack(bytes);
  } catch (cause) {
    throw new MigrateError('PROTOCOL', 'a message of the peer is not msgpack', { cause });
  }
}

interface Item {
  /** Bytes that follow the first one: a length field, then content. */
  readonly skip: number;
  /** Items that follow inside it. */
  readonly children: number;
}

/** Walks one msgpack value without decoding it; says what is wrong, undefined when nothing is. */
function findFlaw(bytes: Uint8Array): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const open: number[] = [1];
  let at = 0;
  while (open.length > 0) {
    const top = open.length - 1;
    const left = open[top] ?? 0;
    if (left === 0) {
      open.pop();
      continue;
    }
    open[top] = left - 1;
    const item = readItem(view, at);
    if (typeof item === 'string') return item;
    at += 1 + item.skip;
    if (at > bytes.byteLength) return 'is cut off';
    if (item.children > bytes.byteLength - at) return 'claims more items than it holds';
    if (item.children > 0) open.push(item.children);
    if (open.length > transportLimits.messageDepthMax) return 'is nested too deeply';
  }
  return at === bytes.byteLength ? undefined : 'has bytes left over';
}

function readItem(view: DataView, at: number): Item | string {
  if (at >= view.byteLength) return 'is cut off';
  const first = view.getUint8(at);
  if (first <= 0x7f || first >= 0xe0) return { skip: 0, children: 0 };
  if (first <= 0x8f) return { skip: 0, children: (first & 0x0f) * 2 };
  if (first <= 0x9f) return { skip: 0, children: first & 0x0f };
  if (first <= 0xbf) return { skip: first & 0x1f, children: 0 };
  const fixed = fixedBytes[first];
  if (fixed !== undefined) return { skip: fixed, children: 0 };
  const sized = sizedItems[first];
  if (sized === undefined) return 'holds an extension type';
  if (at + 1 + sized.lengthBytes > view.byteLength) return 'is cut off';
  const length = readLength(view, at + 1, sized.lengthBytes);
  return sized.children === 0
    ? { skip: sized.lengthBytes + length, children: 0 }
    : { skip: sized.lengthBytes, children: length * sized.children };
}

function readLength(view: DataView, at: number, lengthBytes: number): number {
  if (lengthBytes === 1) return view.getUint8(at);
  return lengthBytes === 2 ? view.getUint16(at) : view.getUint32(at);
}

/** nil, false, true, floats and integers; 0xc1 is not assigned and 0xc7-0xc9, 0xd4-0xd8 extend. */
const fixedBytes: Readonly<Record<number, number>> = {
  192: 0,
  194: 0,
  195: 0,
  202: 4,
  203: 8,
  204: 1,
  205: 2,
  206: 4,
  207: 8,
  208: 1,
  209: 2,
  210: 4,
  211: 8,
};

/** bin, str, array and map; `children` is the number of items for each unit of length. */
const sizedItems: Readonly<Record<number, { lengthBytes: number; children: number }>> = {
  196: { lengthBytes: 1, children: 0 },
  197: { lengthBytes: 2, children: 0 },
  198: { lengthBytes: 4, children: 0 },
  217: { lengthBytes: 1, children: 0 },
  218: { lengthBytes: 2, children: 0 },
  219: { lengthBytes: 4, children: 0 },
  220: { lengthBytes: 2, children: 1 },
  221: { lengthBytes: 4, children: 1 },
  222: { lengthBytes: 2, children: 2 },
  223: { lengthBytes: 4, children: 2 },
};
