import { isIPv4 } from 'node:net';
import { z } from 'zod';
import { uint8Schema, uint16Schema, uint32Schema } from '../../netlink/codec.ts';
import type { NetlinkSpace } from '../../netlink/space.ts';
import { createWriter } from '../../netlink/writer.ts';
import type { Request, Section } from '../section.ts';
import { connections, tracksConnections } from './conntrack.ts';
import { helperNameSchema } from './protocol-info.ts';
import {
  eachAttribute,
  parseTuple,
  readTuple,
  type Tuple,
  tupleSchema,
  tupleText,
  writeTuple,
} from './tuple.ts';

export const expectationSchema = z.strictObject({
  expected: tupleSchema,
  /** Which bits of `expected` count. */
  mask: tupleSchema,
  /** The original direction of the connection whose helper expects. */
  master: tupleSchema,
  zone: uint16Schema.optional(),
  /** Seconds. */
  timeout: uint32Schema,
  /** NF_CT_EXPECT_*: permanent, inactive. */
  flags: uint32Schema,
  /** Which of the helper's kinds of expectation it is. */
  kind: uint8Schema,
  helper: helperNameSchema.optional(),
  /** What the kernel does with the connection when it comes, by its name there. */
  action: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,31}$/)
    .optional(),
  /** Where NAT sends it: in which direction, and what stood there before. */
  nat: z.strictObject({ direction: z.int().min(0).max(1), saved: tupleSchema }).optional(),
});
export type Expectation = z.infer<typeof expectationSchema>;

/** CTA_EXPECT_* of include/uapi/linux/netfilter/nfnetlink_conntrack.h; 5 is a number to read. */
const ids = {
  master: 1,
  expected: 2,
  mask: 3,
  life: 4,
  helper: 6,
  zone: 7,
  flags: 8,
  kind: 9,
  nat: 10,
  action: 11,
} as const;
const ignoredId = 5;
const natIds = { direction: 1, saved: 2 } as const;

/** NFNL_SUBSYS_CTNETLINK_EXP with IPCTNL_MSG_EXP_NEW, _GET, _DELETE. */
const messages = { add: 0x200, get: 0x201, remove: 0x202 } as const;
const createFlag = 0x400;
/** Until the kernel has said it. */
const unsaidS = 0;
const headerBytes = 4;
const writer = createWriter(4_096);

/** Connections that helpers wait for: an FTP transfer, the media of a call. */
export const expectations: Section<Expectation> = {
  name: 'expected connection',
  schema: expectationSchema,
  read: readExpectations,
  add: (one) => addRequests(one),
  remove({ expected, zone }) {
    const wanted = parseTuple(expected);
    writeTuple(writer, ids.expected, wanted);
    if (zone !== undefined) writer.uint16(ids.zone, zone);
    return [{ type: messages.remove, body: finished(wanted), family: 'netfilter' }];
  },
  describe: ({ expected, helper }) => `${helper ?? 'any'} ${expected}`,
  compared: ({ timeout: _timeout, ...one }) => one,
};

function readExpectations(space: NetlinkSpace, reading: { unknown: Set<string> }): Expectation[] {
  if (!tracksConnections(space)) return [];
  const request = { type: messages.get, body: Buffer.alloc(headerBytes) };
  const found = space
    .socket('netfilter')
    .dump(request, 'expected connections')
    .map(({ body }) => readExpectation(body, reading.unknown));
  return found.length === 0 ? found : withZones(found, space);
}

/** The kernel does not tell the zone of an expectation: it is its master's. */
function withZones(found: readonly Expectation[], space: NetlinkSpace): Expectation[] {
  const reading = { names: space.names, unknown: new Set<string>() };
  const zones = new Map(
    connections.read(space, reading).map(({ original, zone }) => [original, zone]),
  );
  return found.map((one) => {
    const zone = zones.get(one.master);
    return zone === undefined ? one : { ...one, zone };
  });
}

function readExpectation(bytes: Buffer, unknown: Set<string>): Expectation {
  const found: Expectation = {
    expected: '',
    mask: '',
    master: '',
    timeout: unsaidS,
    flags: 0,
    kind: 0,
  };
  const tupleAt = (at: number, end: number) => tupleText(readTuple(bytes, at, end));
  const textAt = (at: number, end: number) =>
    bytes.toString('latin1', at, end).replace(/\0.*$/s, '');
  eachAttribute(bytes, headerBytes, bytes.length, (id, at, end) => {
    if (id === ids.master) found.master = tupleAt(at, end);
    else if (id === ids.expected) found.expected = tupleAt(at, end);
    else if (id === ids.mask) found.mask = tupleAt(at, end);
    else if (id === ids.life) found.timeout = bytes.readUInt32BE(at);
    else if (id === ids.flags) found.flags = bytes.readUInt32BE(at);
    else if (id === ids.kind) found.kind = bytes.readUInt32BE(at);
    else if (id === ids.helper) found.helper = textAt(at, end);
    else if (id === ids.action) found.action = textAt(at, end);
    else if (id === ids.nat) found.nat = readNat(bytes, at, end);
    else if (id !== ignoredId) unknown.add(`expectation ${id}`);
  });
  return found;
}

function readNat(bytes: Buffer, at: number, end: number): NonNullable<Expectation['nat']> {
  const found = { direction: 0, saved: '' };
  eachAttribute(bytes, at, end, (id, from, to) => {
    if (id === natIds.direction) found.direction = bytes.readUInt32BE(from);
    else if (id === natIds.saved) found.saved = tupleText(readTuple(bytes, from, to));
  });
  return found;
}

/** A new one lives as long as all of its helper; what is left of its life is said afterwards. */
function addRequests(one: Expectation): Request[] {
  const { helper, action, nat } = one;
  writeEnds(one);
  if (helper !== undefined) writer.bytes(ids.helper, Buffer.from(`${helper}\0`));
  writer.uint32(ids.flags, one.flags);
  writer.uint32(ids.kind, one.kind);
  if (nat !== undefined) {
    writer.nest(ids.nat, () => {
      writer.uint32(natIds.direction, nat.direction);
      writeTuple(writer, natIds.saved, parseTuple(nat.saved));
    });
  }
  if (action !== undefined) writer.bytes(ids.action, Buffer.from(`${action}\0`));
  const expected = parseTuple(one.expected);
  const created = finished(expected);
  writeEnds(one);
  writer.uint32(ids.life, one.timeout);
  return [
    { type: messages.add, flags: createFlag, body: created, family: 'netfilter' },
    { type: messages.add, body: finished(expected), family: 'netfilter' },
  ];
}

function writeEnds({ expected, mask, master, zone }: Expectation): void {
  writeTuple(writer, ids.expected, parseTuple(expected));
  writeTuple(writer, ids.mask, parseTuple(mask));
  writeTuple(writer, ids.master, parseTuple(master));
  if (zone !== undefined) writer.uint16(ids.zone, zone);
}

/** struct nfgenmsg and what was written. */
function finished({ source }: Tuple): Buffer {
  return writer.finish([isIPv4(source) ? 2 : 10, 0, 0, 0]);
}
