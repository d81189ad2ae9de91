import { z } from 'zod';
import type { Codec, LinkNames, Reading } from './codec.ts';

/** One attribute by the name that it has in a document. */
export interface Attribute<T> {
  readonly id: number;
  readonly codec: Codec<T>;
}

export type AttributeTable = Readonly<Record<string, Attribute<never>>>;

type Values<T> = {
  [K in keyof T]?: (T[K] extends Attribute<infer V> ? V : never) | undefined;
};

/** A set of attributes of one message or one nest, as an object with their names. */
export interface AttributeSet<V> {
  readonly schema: z.ZodType<V>;
  decode(bytes: Buffer, reading: Reading): V;
  encode(value: V, names: LinkNames): Buffer;
}

/** One attribute; `attribute(1, uint32)`. */
export function attribute<T>(id: number, codec: Codec<T>): Attribute<T> {
  return { id, codec };
}

/**
 * A set by a table of its attributes. `ignored` are those that tell and cannot be set, or that
 * carry no more than another does; any other that is not in the table is reported as unknown.
 */
export function attributeSet<T extends Readonly<Record<string, Attribute<unknown>>>>(
  where: string,
  table: { [K in keyof T]: T[K] extends Attribute<infer V> ? Attribute<V> : never } & T,
  ignored: readonly number[] = [],
): AttributeSet<Values<T>> {
  const entries = Object.entries(table) as [string, Attribute<unknown>][];
  const byId = new Map(entries.map(([name, one]) => [one.id, { name, codec: one.codec }]));
  const quiet = new Set(ignored);
  const shape = Object.fromEntries(
    entries.map(([name, { codec }]) => [name, codec.schema.optional()]),
  );
  return {
    schema: z.strictObject(shape) as unknown as z.ZodType<Values<T>>,
    decode(bytes, reading) {
      const value: Record<string, unknown> = {};
      forEachAttribute(bytes, (id, payload) => {
        const known = byId.get(id);
        if (known === undefined) {
          if (!quiet.has(id)) reading.unknown.add(`${where} ${id}`);
        } else if (known.codec.isAbsent?.(payload, reading) !== true) {
          value[known.name] = known.codec.decode(payload, reading);
        }
      });
      return value as Values<T>;
    },
    encode(value, names) {
      const parts = Object.entries(value).flatMap(([name, one]) => {
        const known = table[name];
        if (one === undefined || known === undefined) return [];
        return [encodeAttribute(known, one, names)];
      });
      return Buffer.concat(parts);
    },
  };
}

/** A set inside an attribute. */
export function nested<V>(set: AttributeSet<V>): Codec<V> {
  return { schema: set.schema, isNest: true, decode: set.decode, encode: set.encode };
}

/** A nest whose attributes, whatever their numbers, are the items of a list. */
export function listOf<T>(codec: Codec<T>, itemsMax: number, itemId = 1): Codec<T[]> {
  return {
    schema: z.array(codec.schema).max(itemsMax),
    isNest: true,
    decode(bytes, reading) {
      const items: T[] = [];
      forEachAttribute(bytes, (_id, payload) => {
        items.push(codec.decode(payload, reading));
      });
      return items;
    },
    encode: (items, names) =>
      Buffer.concat(items.map((item) => encodeAttribute({ id: itemId, codec }, item, names))),
  };
}

export function encodeAttribute<T>(
  { id, codec }: Attribute<T>,
  value: T,
  names: LinkNames,
): Buffer {
  const type = codec.isNest === true ? id | nestedFlag : id;
  return attributeBytes(type, codec.encode(value, names));
}

/** struct nlattr and its payload, padded. */
export function attributeBytes(id: number, payload: Buffer): Buffer {
  const bytes = Buffer.alloc((4 + payload.length + 3) & ~3);
  bytes.writeUInt16LE(4 + payload.length, 0);
  bytes.writeUInt16LE(id, 2);
  payload.copy(bytes, 4);
  return bytes;
}

/** NLA_F_NESTED of include/uapi/linux/netlink.h. */
export const nestedFlag = 0x8000;
const idMask = 0x3fff;

/** Calls `each` for every attribute in a run of them; a broken tail ends it. */
export function forEachAttribute(bytes: Buffer, each: (id: number, payload: Buffer) => void): void {
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) return;
    each(bytes.readUInt16LE(at + 2) & idMask, bytes.subarray(at + 4, at + length));
    at += (length + 3) & ~3;
  }
}

/** The first attribute of that number. */
export function findAttribute(bytes: Buffer, wanted: number): Buffer | undefined {
  let found: Buffer | undefined;
  forEachAttribute(bytes, (id, payload) => {
    if (id === wanted) found ??= payload;
  });
  return found;
}
