import { z } from 'zod';
import type { AttributeSet } from '../../netlink/attributes.ts';
import {
  address4,
  address6,
  type Codec,
  flag,
  link,
  netUint16,
  type Reading,
  uint16Schema,
  uint32,
} from '../../netlink/codec.ts';
import type { LinkData } from './kind.ts';

/** A number that has names; one without a name stays a number. `names[0]` is 0's name. */
export function choice(
  codec: Codec<number>,
  names: Readonly<Record<string, number>>,
): Codec<string | number> {
  const byNumber = new Map(Object.entries(names).map(([name, value]) => [value, name]));
  return {
    schema: z.union([z.enum(Object.keys(names)), codec.schema]),
    decode(bytes, reading) {
      const value = codec.decode(bytes, reading);
      return byNumber.get(value) ?? value;
    },
    encode(value, linkNames) {
      const number = typeof value === 'number' ? value : (names[value] ?? 0);
      return codec.encode(number, linkNames);
    },
  };
}

/** A device of the same namespace, or none, which is the number 0 and is left out. */
export const optionalLink: Codec<string> = {
  ...link,
  isAbsent: (bytes) => bytes.readUInt32LE(0) === 0,
};

/** As it is, but left out where it says `usual`: what older kernels don't say at all. */
export function unless<T>(codec: Codec<T>, usual: T): Codec<T> {
  const isUsual = (bytes: Buffer, reading: Reading) =>
    JSON.stringify(codec.decode(bytes, reading)) === JSON.stringify(usual);
  return { ...codec, isAbsent: isUsual };
}

/** One end of a tunnel, or any, which some kinds refuse to hear and all understand unsaid. */
export const end4: Codec<string> = unless(address4, '0.0.0.0');
export const end6: Codec<string> = unless(address6, '::');

/** Bits, and which of them are meant: the kernel wants both, the document has the bits. */
export function maskedBits(mask: number): Codec<number> {
  return {
    schema: uint32.schema,
    decode: (bytes) => bytes.readUInt32LE(0),
    encode(value, names) {
      return Buffer.concat([uint32.encode(value, names), uint32.encode(value | mask, names)]);
    },
  };
}

/** A set whose values are put into other words on their way into the document and back. */
export function reworded<V, W>(
  set: AttributeSet<V>,
  words: {
    readonly schema: z.ZodType<W>;
    decode(value: NoInfer<V>): W;
    encode(value: W): NoInfer<V>;
  },
): AttributeSet<W> {
  return {
    schema: words.schema,
    decode: (bytes, reading) => words.decode(set.decode(bytes, reading)),
    encode: (value, names) => set.encode(words.encode(value), names),
  };
}

/** `data` with the keys of `late` apart. */
export function apart(data: LinkData, late: readonly string[]) {
  const entries = Object.entries(data);
  return {
    first: Object.fromEntries(entries.filter(([key]) => !late.includes(key))),
    last: Object.fromEntries(entries.filter(([key]) => late.includes(key))),
  };
}

/** Told as a number, taken as an attribute without a payload. */
export const presence: Codec<true> = {
  ...flag,
  isAbsent: (bytes) => bytes.length > 0 && bytes.readUInt8(0) === 0,
};

/** The first and the last of a range of ports (struct ifla_vxlan_port_range). */
export const portRange: Codec<{ first: number; last: number }> = {
  schema: z.strictObject({ first: uint16Schema, last: uint16Schema }),
  decode: (bytes) => ({ first: bytes.readUInt16BE(0), last: bytes.readUInt16BE(2) }),
  encode: ({ first, last }, names) =>
    Buffer.concat([netUint16.encode(first, names), netUint16.encode(last, names)]),
};
