import { isIPv4 } from 'node:net';
import { z } from 'zod';
import { addressText } from '../../address.ts';
import {
  addressSchema,
  linkNameSchema,
  macBytes,
  macSchema,
  macText,
  uint8Schema,
  uint16Schema,
  uint32Schema,
  uint64,
} from '../../netlink/codec.ts';
import type { AttributeWriter } from '../../netlink/writer.ts';
import { eachAttribute } from './tuple.ts';

/** IPSET_MAXNAMELEN is 32; a name goes into rules and messages as it is. */
export const setNameSchema = z.string().regex(/^[A-Za-z0-9_.:,@+/=-]{1,31}$/);

/** How a value of an ip set stands in its attribute. */
type Kind = 'uint8' | 'uint16' | 'uint32' | 'uint64' | 'address' | 'mac' | 'text';

export interface Field<T extends string | number = string | number> {
  readonly id: number;
  readonly kind: Kind;
  readonly schema: z.ZodType<T>;
}

const byte = (id: number): Field<number> => ({ id, kind: 'uint8', schema: uint8Schema });
const short = (id: number): Field<number> => ({ id, kind: 'uint16', schema: uint16Schema });
const word = (id: number): Field<number> => ({ id, kind: 'uint32', schema: uint32Schema });
const long = (id: number): Field<string> => ({ id, kind: 'uint64', schema: uint64.schema });
const address = (id: number): Field<string> => ({ id, kind: 'address', schema: addressSchema });
const text = (id: number, schema: z.ZodType<string>): Field<string> => ({
  id,
  kind: 'text',
  schema,
});

/** IPSET_ATTR_* of include/uapi/linux/netfilter/ipset/ip_set.h, of a set. */
export const setFields = {
  from: address(1),
  to: address(2),
  cidr: byte(3),
  portFrom: short(4),
  portTo: short(5),
  /** Seconds that an element lives unless it says otherwise. */
  timeout: word(6),
  /** IPSET_FLAG_WITH_*: counters, comment, forceadd, skbinfo. */
  flags: word(8),
  markMask: word(11),
  bitMask: address(12),
  /** What the hash begins with. */
  initial: word(17),
  hashSize: word(18),
  elementsMax: word(19),
  netmask: byte(20),
  bucketSize: byte(21),
  size: word(23),
} as const;
/** Elements, references, bytes of memory. */
export const ignoredSetIds: readonly number[] = [24, 25, 26];

/** Of an element: what it is. */
const keyFields = {
  ip: address(1),
  ipTo: address(2),
  cidr: byte(3),
  port: short(4),
  portTo: short(5),
  protocol: byte(7),
  /** IPSET_FLAG_*: physdev, nomatch, wildcard. */
  flags: word(8),
  mark: word(10),
  mac: { id: 17, kind: 'mac', schema: macSchema },
  /** A set in a list of sets. */
  member: text(18, setNameSchema),
  ip2: address(20),
  cidr2: byte(21),
  ip2To: address(22),
  link: text(23, linkNameSchema),
} as const;

/** Of an element: what hangs on it. */
const extensionFields = {
  /** Seconds left; 0 when it stays. */
  timeout: word(6),
  bytes: long(24),
  packets: long(25),
  comment: text(26, z.string().regex(/^[^\0]{0,255}$/)),
  /** Mark and mask. */
  skbMark: long(27),
  skbPriority: word(28),
  skbQueue: short(29),
} as const;

export const elementKeys = Object.keys(keyFields);
export const elementFields = { ...keyFields, ...extensionFields } as const;
/** The number of a line of `ipset restore`. */
export const ignoredElementIds: readonly number[] = [9];

type Shape<F> = {
  [K in keyof F]: F[K] extends Field<infer T> ? z.ZodOptional<z.ZodType<T>> : never;
};

/** The zod fields of a table. */
export function shapeOf<F extends Readonly<Record<string, Field>>>(fields: F): Shape<F> {
  const entries = Object.entries(fields).map(([name, { schema }]) => [name, schema.optional()]);
  return Object.fromEntries(entries) as Shape<F>;
}

type Read = (bytes: Buffer, start: number, end: number, unknown: Set<string>) => object;

/** Reads a nest into an object of the names in `fields`; the rest is told as `where NUMBER`. */
export function fieldReader(
  where: string,
  fields: Readonly<Record<string, Field>>,
  ignored: readonly number[],
): Read {
  const byId = new Map(Object.entries(fields).map(([name, one]) => [one.id, { ...one, name }]));
  return (bytes, start, end, unknown) => {
    const found: Record<string, string | number> = {};
    eachAttribute(bytes, start, end, (id, at, to) => {
      const field = byId.get(id);
      if (field !== undefined) found[field.name] = readField(field.kind, bytes, at, to);
      else if (!ignored.includes(id)) unknown.add(`${where} ${id}`);
    });
    return found;
  };
}

/** Writes those of `names` that `values` has. */
export function writeFields(
  writer: AttributeWriter,
  fields: Readonly<Record<string, Field>>,
  values: Readonly<Record<string, unknown>>,
  names: readonly string[] = Object.keys(fields),
): void {
  for (const name of names) {
    const [field, value] = [fields[name], values[name]];
    if (field !== undefined && value !== undefined) writeField(writer, field, value);
  }
}

function readField(kind: Kind, bytes: Buffer, at: number, end: number): string | number {
  if (kind === 'uint8') return bytes.readUInt8(at);
  if (kind === 'uint16') return bytes.readUInt16BE(at);
  if (kind === 'uint32') return bytes.readUInt32BE(at);
  if (kind === 'uint64') return bytes.readBigUInt64BE(at).toString();
  if (kind === 'mac') return macText(bytes.subarray(at, end));
  if (kind === 'text') return bytes.toString('utf8', at, end).replace(/\0.*$/s, '');
  // A nest of one attribute, IPSET_ATTR_IPADDR_IPV4 or _IPV6.
  return addressText(bytes.subarray(at + 4, end));
}

/** NLA_F_NET_BYTEORDER, without which ip_set_core.c refuses a number. */
export const netOrder = 0x4000;

function writeField(writer: AttributeWriter, { id, kind }: Field, value: unknown): void {
  if (kind === 'uint8') writer.uint8(id, Number(value));
  else if (kind === 'uint16') writer.uint16(id | netOrder, Number(value));
  else if (kind === 'uint32') writer.uint32(id | netOrder, Number(value));
  else if (kind === 'uint64') writer.bytes(id | netOrder, bigEndian(BigInt(String(value))));
  else if (kind === 'mac') writer.bytes(id, macBytes(String(value)));
  else if (kind === 'text') writer.bytes(id, Buffer.from(`${value}\0`));
  else {
    const ip = String(value);
    writer.nest(id, () => writer.address((isIPv4(ip) ? 1 : 2) | netOrder, ip));
  }
}

function bigEndian(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}
