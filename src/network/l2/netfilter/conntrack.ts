import { isIPv4 } from 'node:net';
import { z } from 'zod';
import { readFilesIn } from '../../../host/netns.ts';
import { bytesOf, uint16Schema, uint32Schema } from '../../netlink/codec.ts';
import type { NetlinkSpace } from '../../netlink/space.ts';
import { type AttributeWriter, createWriter } from '../../netlink/writer.ts';
import type { Request, Section } from '../section.ts';
import {
  helperNameSchema,
  readSctp,
  readTcp,
  sctpSchema,
  tcpSchema,
  writeSctp,
  writeTcp,
} from './protocol-info.ts';
import {
  eachAttribute,
  follows,
  parseTuple,
  readTuple,
  type Tuple,
  tupleSchema,
  tupleText,
  turnedRound,
  writeTuple,
} from './tuple.ts';

/** By how much sequence numbers are moved: a helper has rewritten a payload. */
const shiftSchema = z.strictObject({
  position: uint32Schema,
  before: uint32Schema,
  after: uint32Schema,
});
type Shift = z.infer<typeof shiftSchema>;

export const connectionSchema = z.strictObject({
  original: tupleSchema,
  /** Of the answers; absent where it is `original` turned round: no NAT, no ICMP. */
  reply: tupleSchema.optional(),
  zone: uint16Schema.optional(),
  seenReply: z.literal(true).optional(),
  assured: z.literal(true).optional(),
  fixedLife: z.literal(true).optional(),
  /** Its helper was named by a rule. */
  namedHelper: z.literal(true).optional(),
  /** NAT has decided about it, maybe that nothing is to be changed. */
  natDone: z.literal(true).optional(),
  /** Seconds. */
  timeout: uint32Schema,
  mark: uint32Schema.optional(),
  /** 128 bits (include/uapi/linux/netfilter/xt_connlabel.h). */
  labels: bytesOf(16).schema.optional(),
  tcp: tcpSchema.optional(),
  sctp: sctpSchema.optional(),
  helper: helperNameSchema.optional(),
  shiftOriginal: shiftSchema.optional(),
  shiftReply: shiftSchema.optional(),
  synproxy: z
    .strictObject({ isn: uint32Schema, its: uint32Schema, offset: uint32Schema })
    .optional(),
  /** The original direction of the connection whose helper expected this one. */
  master: tupleSchema.optional(),
});
export type Connection = z.infer<typeof connectionSchema>;

/** CTA_* of include/uapi/linux/netfilter/nfnetlink_conntrack.h. */
const ids = {
  original: 1,
  reply: 2,
  status: 3,
  protocol: 4,
  helper: 5,
  sourceNat: 6,
  life: 7,
  mark: 8,
  destinationNat: 13,
  master: 14,
  shiftOriginal: 15,
  shiftReply: 16,
  zone: 18,
  labels: 22,
  synproxy: 24,
} as const;
/** Counters, use, id, security mark and context, timestamps: these can only be read. */
const ignoredIds = new Set([9, 10, 11, 12, 17, 19, 20]);

/** IPS_* of include/uapi/linux/netfilter/nf_conntrack_common.h. */
const bits = {
  seenReply: 0x02,
  assured: 0x04,
  confirmed: 0x08,
  natDone: 0x80 | 0x100,
  fixedLife: 0x400,
  namedHelper: 0x2000,
} as const;
const settableBits = ['seenReply', 'assured', 'fixedLife', 'namedHelper'] as const;

/** NFNL_SUBSYS_CTNETLINK with IPCTNL_MSG_CT_NEW, _GET, _DELETE. */
const messages = { add: 0x100, get: 0x101, remove: 0x102 } as const;
/** NLM_F_CREATE and NLM_F_EXCL. */
const createFlags = 0x400 | 0x200;
const headerBytes = 4;
/** Every attribute that is written, three IPv6 tuples among them, comes to some 600 bytes. */
const writer = createWriter(4_096);
/** What an entry of a flow table gets when it leaves it (net/netfilter/nf_flow_table_core.c). */
const offloadedTimeoutS = 120;
const countFile = '/proc/sys/net/netfilter/nf_conntrack_count';

/**
 * Connections that the namespace tracks, those of its NAT above all. The kernel takes all of one
 * but its counters, its timestamp and the device that masquerading remembers; and a TCP window
 * is learned anew from the next packets, so that checking of windows is off for it (as CRIU and
 * conntrackd do, IP_CT_TCP_FLAG_BE_LIBERAL).
 */
export const connections: Section<Connection> = {
  name: 'tracked connection',
  schema: connectionSchema,
  read(space, reading) {
    if (!tracksConnections(space)) return [];
    const request = { type: messages.get, body: Buffer.alloc(headerBytes) };
    const found = space.socket('netfilter').dump(request, 'tracked connections');
    return found.map(({ body }) => readConnection(body, reading.unknown));
  },
  add: (one) => [addRequest(one)],
  remove({ original, zone }) {
    const wanted = parseTuple(original);
    writeTuple(writer, ids.original, wanted);
    if (zone !== undefined) writer.uint16(ids.zone, zone);
    return [{ type: messages.remove, body: finished(wanted), family: 'netfilter' }];
  },
  describe: ({ original }) => original,
  compared: comparedText,
  before: (one, other) => Number(one.master !== undefined) - Number(other.master !== undefined),
};

/** Asking loads the kernel's module; where none is loaded, or nothing tracked, nobody needs it. */
export function tracksConnections(space: NetlinkSpace): boolean {
  return Number(readFilesIn(space.path, [countFile])[0] ?? 0) > 0;
}

/** One text instead of a tree of fields, without what time and packets change. */
function comparedText(one: Connection): string {
  const { original, reply, zone, tcp, sctp, shiftOriginal, shiftReply, synproxy, master } = one;
  const bare = `${original}/${reply}/${zone} ${one.seenReply} ${one.assured} ${one.fixedLife}`;
  const marks = `${one.natDone} ${one.mark} ${one.labels} ${one.helper} ${master}`;
  const state = tcp === undefined ? '' : `${tcp.state} ${tcp.scaleOriginal} ${tcp.scaleReply}`;
  const isRare = sctp ?? shiftOriginal ?? shiftReply ?? synproxy;
  const rare =
    isRare === undefined ? '' : JSON.stringify([sctp, shiftOriginal, shiftReply, synproxy]);
  return `${bare} ${marks} ${state} ${rare}`;
}

type Writable = { -readonly [K in keyof Connection]: Connection[K] };

function readConnection(bytes: Buffer, unknown: Set<string>): Connection {
  const found: Writable = { original: '', timeout: offloadedTimeoutS };
  let original: Tuple | undefined;
  eachAttribute(bytes, headerBytes, bytes.length, (id, at, end) => {
    if (id === ids.original) {
      original = readTuple(bytes, at, end);
      found.original = tupleText(original);
    } else if (id === ids.reply) {
      const reply = readTuple(bytes, at, end);
      if (original === undefined || !follows(reply, original)) found.reply = tupleText(reply);
    } else if (!readValue(found, id, bytes, at, end) && !ignoredIds.has(id)) {
      unknown.add(`conntrack ${id}`);
    }
  });
  return found;
}

function readValue(found: Writable, id: number, bytes: Buffer, at: number, end: number): boolean {
  if (id === ids.status) readStatus(found, bytes.readUInt32BE(at));
  else if (id === ids.life) found.timeout = bytes.readUInt32BE(at);
  else if (id === ids.mark) {
    const mark = bytes.readUInt32BE(at);
    if (mark !== 0) found.mark = mark;
  } else if (id === ids.protocol) readProtocol(found, bytes, at, end);
  else if (id === ids.zone) found.zone = bytes.readUInt16BE(at);
  else if (id === ids.labels) found.labels = bytes.toString('hex', at, end);
  else if (id === ids.master) found.master = tupleText(readTuple(bytes, at, end));
  else if (id === ids.shiftOriginal) found.shiftOriginal = readShift(bytes, at, end);
  else if (id === ids.shiftReply) found.shiftReply = readShift(bytes, at, end);
  else if (id === ids.synproxy) {
    const { position: isn, before: its, after: offset } = readShift(bytes, at, end);
    // The kernel gives each entry that netlink made one of zeros.
    if (isn !== 0) found.synproxy = { isn, its, offset };
  } else if (id === ids.helper) {
    eachAttribute(bytes, at, end, (part, from, to) => {
      if (part === 1) found.helper = bytes.toString('latin1', from, to).replace(/\0.*$/s, '');
    });
  } else return false;
  return true;
}

function readStatus(found: Writable, status: number): void {
  for (const name of settableBits) if ((status & bits[name]) !== 0) found[name] = true;
  if ((status & bits.natDone) !== 0) found.natDone = true;
}

function readProtocol(found: Writable, bytes: Buffer, at: number, end: number): void {
  eachAttribute(bytes, at, end, (id, from, to) => {
    if (id === 1) found.tcp = readTcp(bytes, from, to);
    else if (id === 3) found.sctp = readSctp(bytes, from, to);
  });
}

/** Three numbers, CTA_SEQADJ_* or CTA_SYNPROXY_*. */
function readShift(bytes: Buffer, at: number, end: number): Shift {
  const found = { position: 0, before: 0, after: 0 };
  eachAttribute(bytes, at, end, (id, from) => {
    const name = (['position', 'before', 'after'] as const)[id - 1];
    if (name !== undefined) found[name] = bytes.readUInt32BE(from);
  });
  return found;
}

function writeThree(id: number, numbers: readonly number[]): void {
  writer.nest(id, () => {
    for (const [index, value] of numbers.entries()) writer.uint32(index + 1, value);
  });
}

/**
 * NAT bits cannot be set, only come about: the entry is made as it was before NAT, and NAT told to
 * what (ctnetlink_setup_nat in net/netfilter/nf_conntrack_netlink.c).
 */
function addRequest(one: Connection): Request {
  const original = parseTuple(one.original);
  const { zone: _zone, ...unzoned } = original;
  const reply = one.reply === undefined ? turnedRound(original, unzoned) : parseTuple(one.reply);
  const plain = turnedRound(original, reply);
  writeTuple(writer, ids.original, original);
  writeTuple(writer, ids.reply, one.natDone === true ? plain : reply);
  let status: number = bits.confirmed;
  for (const name of settableBits) if (one[name] === true) status |= bits[name];
  writer.uint32(ids.status, status);
  const { helper } = one;
  if (helper !== undefined) {
    writer.nest(ids.helper, () => writer.bytes(1, Buffer.from(`${helper}\0`)));
  }
  if (one.natDone === true) {
    if (reply.source !== plain.source || reply.ports?.[0] !== plain.ports?.[0]) {
      writeNat(writer, ids.destinationNat, reply.source, reply.ports?.[0]);
    }
    writeNat(writer, ids.sourceNat, reply.destination, reply.ports?.[1] ?? reply.icmp?.id);
  }
  writer.uint32(ids.life, one.timeout);
  writeRest(one);
  return {
    type: messages.add,
    flags: createFlags,
    body: finished(original),
    family: 'netfilter',
  };
}

function writeRest(one: Connection): void {
  const { mark, zone, labels, tcp, sctp, shiftOriginal, shiftReply, synproxy, master } = one;
  if (mark !== undefined) writer.uint32(ids.mark, mark);
  if (zone !== undefined) writer.uint16(ids.zone, zone);
  if (labels !== undefined) writer.bytes(ids.labels, Buffer.from(labels, 'hex'));
  if (tcp !== undefined) writer.nest(ids.protocol, () => writeTcp(writer, 1, tcp));
  if (sctp !== undefined) writer.nest(ids.protocol, () => writeSctp(writer, 3, sctp));
  for (const [id, shift] of [
    [ids.shiftOriginal, shiftOriginal],
    [ids.shiftReply, shiftReply],
  ] as const) {
    if (shift !== undefined) writeThree(id, [shift.position, shift.before, shift.after]);
  }
  if (synproxy !== undefined) {
    writeThree(ids.synproxy, [synproxy.isn, synproxy.its, synproxy.offset]);
  }
  if (master !== undefined) writeTuple(writer, ids.master, parseTuple(master));
}

/** CTA_NAT_*: one address and one port or ICMP id instead of a range to choose from. */
function writeNat(to: AttributeWriter, id: number, address: string, port?: number): void {
  to.nest(id, () => {
    to.address(isIPv4(address) ? 1 : 4, address);
    if (port !== undefined) to.nest(3, () => to.uint16(1, port));
  });
}

/** struct nfgenmsg and what was written. */
function finished({ source }: Tuple): Buffer {
  return writer.finish([isIPv4(source) ? 2 : 10, 0, 0, 0]);
}
