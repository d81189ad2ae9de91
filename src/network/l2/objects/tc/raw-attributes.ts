import { attributeBytes } from '../../../netlink/attributes.ts';

/** One attribute as it came: `type` is its number with the flags of include/uapi netlink.h. */
interface RawAttribute {
  readonly type: number;
  readonly id: number;
  readonly payload: Buffer;
}

const idMask = 0x3fff;

/** The attributes of a run of them; a broken tail ends it. */
export function rawAttributes(bytes: Buffer): RawAttribute[] {
  const found: RawAttribute[] = [];
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) break;
    const type = bytes.readUInt16LE(at + 2);
    found.push({ type, id: type & idMask, payload: bytes.subarray(at + 4, at + length) });
    at += (length + 3) & ~3;
  }
  return found;
}

function joinAttributes(all: readonly RawAttribute[]): Buffer {
  return Buffer.concat(all.map(({ type, payload }) => attributeBytes(type, payload)));
}

/** What becomes of an attribute: other bytes, or nothing when it is left out. */
export type Edit = (payload: Buffer) => Buffer | undefined;

/** Attributes with some of them edited, by their numbers; the others stay as they are. */
export function edited(bytes: Buffer, edits: Readonly<Record<number, Edit>>): Buffer {
  const all = rawAttributes(bytes).flatMap((one) => {
    const edit = edits[one.id];
    const payload = edit === undefined ? one.payload : edit(one.payload);
    return payload === undefined ? [] : [{ ...one, payload }];
  });
  return joinAttributes(all);
}

/** Leaves an attribute out. */
export const dropped: Edit = () => undefined;

/** Leaves an attribute out that says what is so without it. */
export function droppedWhen(hex: string): Edit {
  return (payload) => (payload.toString('hex') === hex ? undefined : payload);
}

/** A copy of bytes in which `write` has changed something; as they are when shorter than that. */
export function written(bytes: Buffer, bytesMin: number, write: (copy: Buffer) => unknown): Buffer {
  if (bytes.length < bytesMin) return bytes;
  const copy = Buffer.from(bytes);
  write(copy);
  return copy;
}
