import { z } from 'zod';
import { uint8Schema, uint32Schema } from '../../netlink/codec.ts';
import type { AttributeWriter } from '../../netlink/writer.ts';
import { eachAttribute } from './tuple.ts';

/** NF_CT_HELPER_NAME_LEN of include/net/netfilter/nf_conntrack_helper.h is 16. */
export const helperNameSchema = z.string().regex(/^[A-Za-z0-9._-]{1,15}$/);

/** enum tcp_conntrack of include/uapi/linux/netfilter/nf_conntrack_tcp.h. */
const tcpStates = [
  'none',
  'synSent',
  'synReceived',
  'established',
  'finWait',
  'closeWait',
  'lastAck',
  'timeWait',
  'close',
  'synSent2',
] as const;

/** What a direction has shown, IP_CT_TCP_FLAG_*. */
const tcpFlags = {
  windowScale: 0x01,
  sackPermitted: 0x02,
  closeInitiated: 0x04,
  liberal: 0x08,
  unacknowledged: 0x10,
  simultaneousOpen: 0x80,
} as const;
/**
 * All but those that are about a number that cannot be carried: MAXACK_SET with an ack of zero
 * would make the kernel take a good RST for a forged one (net/netfilter/nf_conntrack_proto_tcp.c).
 */
const carriedFlags = Object.values(tcpFlags).reduce<number>((sum, bit) => sum | bit, 0);

/** RFC 7323 ends at 14. */
const scaleSchema = z.int().min(0).max(14);

/** Where a TCP connection stands, CTA_PROTOINFO_TCP_*. */
export const tcpSchema = z.strictObject({
  state: z.enum(tcpStates),
  scaleOriginal: scaleSchema,
  scaleReply: scaleSchema,
  flagsOriginal: uint8Schema,
  flagsReply: uint8Schema,
});
type Tcp = z.infer<typeof tcpSchema>;

/** Where an SCTP association stands, CTA_PROTOINFO_SCTP_*. */
export const sctpSchema = z.strictObject({
  state: uint8Schema,
  tagOriginal: uint32Schema,
  tagReply: uint32Schema,
});
type Sctp = z.infer<typeof sctpSchema>;

export function readTcp(bytes: Buffer, at: number, end: number): Tcp {
  const found: Tcp = {
    state: 'none',
    scaleOriginal: 0,
    scaleReply: 0,
    flagsOriginal: 0,
    flagsReply: 0,
  };
  eachAttribute(bytes, at, end, (id, from) => {
    const value = bytes[from] ?? 0;
    if (id === 1) found.state = tcpStates[value] ?? 'none';
    else if (id === 2) found.scaleOriginal = value;
    else if (id === 3) found.scaleReply = value;
    else if (id === 4) found.flagsOriginal = value & carriedFlags;
    else if (id === 5) found.flagsReply = value & carriedFlags;
  });
  return found;
}

/** With struct nf_ct_tcp_flags: the bits, and which of them are said. */
export function writeTcp(writer: AttributeWriter, attribute: number, one: Tcp): void {
  const { state, scaleOriginal, scaleReply, flagsOriginal, flagsReply } = one;
  writer.nest(attribute, () => {
    writer.uint8(1, tcpStates.indexOf(state));
    writer.uint8(2, scaleOriginal);
    writer.uint8(3, scaleReply);
    for (const [id, flags] of [
      [4, flagsOriginal],
      [5, flagsReply],
    ] as const) {
      const said = (flags | tcpFlags.liberal) & carriedFlags;
      writer.uint16(id, (said << 8) | carriedFlags);
    }
  });
}

export function readSctp(bytes: Buffer, at: number, end: number): Sctp {
  const found: Sctp = { state: 0, tagOriginal: 0, tagReply: 0 };
  eachAttribute(bytes, at, end, (id, from) => {
    if (id === 1) found.state = bytes[from] ?? 0;
    else if (id === 2) found.tagOriginal = bytes.readUInt32BE(from);
    else if (id === 3) found.tagReply = bytes.readUInt32BE(from);
  });
  return found;
}

export function writeSctp(writer: AttributeWriter, attribute: number, one: Sctp): void {
  writer.nest(attribute, () => {
    writer.uint8(1, one.state);
    writer.uint32(2, one.tagOriginal);
    writer.uint32(3, one.tagReply);
  });
}
