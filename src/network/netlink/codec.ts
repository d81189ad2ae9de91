import { isIPv4 } from 'node:net';
import { z } from 'zod';
import { MigrateError } from '../../base/errors.ts';
import { addressBytes, addressText } from '../address.ts';

/** Device names and numbers of one namespace; a document has names, the kernel numbers. */
export interface LinkNames {
  nameOf(index: number): string | undefined;
  /** Throws NETWORK_FAILED when there is no device of that name. */
  indexOf(name: string): number;
}

/** What decoding needs and what it finds out. */
export interface Reading {
  readonly names: LinkNames;
  /** Attributes that this version does not know, as `where NUMBER`. */
  readonly unknown: Set<string>;
}

/** How one value stands in a netlink attribute, and how it must look in a document. */
export interface Codec<T> {
  readonly schema: z.ZodType<T>;
  /** Holds attributes: marked so, because newer families refuse a nest that is not. */
  readonly isNest?: true;
  /** Whether such a payload says no more than a missing attribute. */
  isAbsent?(bytes: Buffer, reading: Reading): boolean;
  decode(bytes: Buffer, reading: Reading): T;
  encode(value: T, names: LinkNames): Buffer;
}

export const uint8Schema = z.int().min(0).max(0xff);
export const uint16Schema = z.int().min(0).max(0xffff);
export const uint32Schema = z.int().min(0).max(0xffff_ffff);

/** What the kernel takes as a device name (dev_valid_name in net/core/dev.c). */
export const linkNamePattern = /^(?!-|\.{1,2}$)[A-Za-z0-9_.@+-]{1,15}$/;
export const linkNameSchema = z.string().regex(linkNamePattern);

export const uint8: Codec<number> = {
  schema: uint8Schema,
  decode: (bytes) => bytes.readUInt8(0),
  encode: (value) => Buffer.from([value]),
};

export const uint16: Codec<number> = {
  schema: uint16Schema,
  decode: (bytes) => bytes.readUInt16LE(0),
  encode: (value) => number(2, (buffer) => buffer.writeUInt16LE(value)),
};

export const uint32: Codec<number> = {
  schema: uint32Schema,
  decode: (bytes) => bytes.readUInt32LE(0),
  encode: (value) => number(4, (buffer) => buffer.writeUInt32LE(value)),
};

export const int32: Codec<number> = {
  schema: z.int().min(-0x8000_0000).max(0x7fff_ffff),
  decode: (bytes) => bytes.readInt32LE(0),
  encode: (value) => number(4, (buffer) => buffer.writeInt32LE(value)),
};

/** In network order. */
export const netUint16: Codec<number> = {
  schema: uint16Schema,
  decode: (bytes) => bytes.readUInt16BE(0),
  encode: (value) => number(2, (buffer) => buffer.writeUInt16BE(value)),
};

/** In network order. */
export const netUint32: Codec<number> = {
  schema: uint32Schema,
  decode: (bytes) => bytes.readUInt32BE(0),
  encode: (value) => number(4, (buffer) => buffer.writeUInt32BE(value)),
};

/** Decimal text, because a document's numbers end at 2^53. */
export const uint64: Codec<string> = {
  schema: z
    .string()
    .regex(/^\d{1,20}$/)
    .refine((text) => BigInt(text) < 1n << 64n, 'more than 64 bits'),
  decode: (bytes) => bytes.readBigUInt64LE(0).toString(),
  encode: (value) => number(8, (buffer) => buffer.writeBigUInt64LE(BigInt(value))),
};

/** Eight bytes in network order, in hexadecimal. */
export const netUint64Hex: Codec<string> = {
  schema: z.string().regex(/^[0-9a-f]{16}$/),
  decode: (bytes) => bytes.toString('hex'),
  encode: (value) => Buffer.from(value, 'hex'),
};

/** An attribute that says something by being there. */
export const flag: Codec<true> = {
  schema: z.literal(true),
  decode: () => true,
  encode: () => Buffer.alloc(0),
};

/** A string that ends with a zero byte. */
export function text(schema: z.ZodType<string>): Codec<string> {
  return {
    schema,
    decode: (bytes) => bytes.toString('utf8').replace(/\0.*$/s, ''),
    encode: (value) => Buffer.from(`${value}\0`),
  };
}

/** Bytes that nothing here looks into, in hexadecimal. */
export function bytesOf(bytesMax: number): Codec<string> {
  return {
    schema: z
      .string()
      .regex(/^([0-9a-f]{2})*$/)
      .max(bytesMax * 2),
    decode: (bytes) => bytes.toString('hex'),
    encode: (value) => Buffer.from(value, 'hex'),
  };
}

export const macSchema = z.string().regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);

export const mac: Codec<string> = {
  schema: macSchema,
  decode: macText,
  encode: macBytes,
};

/** A link-layer address of whatever length the device has. */
export const hardwareAddress: Codec<string> = {
  schema: z.string().regex(/^([0-9a-f]{2}(:[0-9a-f]{2}){0,31})?$/),
  decode: macText,
  encode: macBytes,
};

/** Without a zone (`%eth0`). */
export const addressSchema = z.union([z.ipv4(), z.ipv6()]);

/** An IPv4 or IPv6 address: its length says which. */
export const address: Codec<string> = {
  schema: addressSchema,
  decode: (bytes) => addressText(bytes),
  encode: (value) => addressBytes(value),
};

export const address4: Codec<string> = { ...address, schema: z.ipv4() };
export const address6: Codec<string> = { ...address, schema: z.ipv6() };

/** A device of the same namespace: a number for the kernel, a name in the document. */
export const link: Codec<string> = {
  schema: linkNameSchema,
  decode: (bytes, { names }) => nameOfLink(bytes.readUInt32LE(0), names),
  encode: (value, names) => uint32.encode(names.indexOf(value), names),
};

/** The name, or `@NUMBER` for a device that is not of this namespace; no document takes that. */
export function nameOfLink(index: number, names: LinkNames): string {
  return names.nameOf(index) ?? `@${index}`;
}

export function macText(bytes: Buffer): string {
  return bytes.toString('hex').replace(/..(?=.)/g, '$&:');
}

export function macBytes(value: string): Buffer {
  return Buffer.from(value.replaceAll(':', ''), 'hex');
}

/** The family that netlink means by an address: AF_INET or AF_INET6. */
export function familyOf(value: string): 2 | 10 {
  return isIPv4(value) ? 2 : 10;
}

export function missingLink(name: string): MigrateError {
  return new MigrateError('NETWORK_FAILED', `there is no device ${name} in the namespace`);
}

function number(size: number, write: (buffer: Buffer) => void): Buffer {
  const buffer = Buffer.alloc(size);
  write(buffer);
  return buffer;
}
