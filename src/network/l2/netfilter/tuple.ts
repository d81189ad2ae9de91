import { isIP, isIPv4 } from 'node:net';
import { z } from 'zod';
import { addressText } from '../../address.ts';
import type { AttributeWriter } from '../../netlink/writer.ts';

/**
 * One direction of a connection as connection tracking knows it, in words between spaces: the
 * number of the protocol, source, destination, then source port and destination port, or `id=N
 * type=N code=N` of ICMP, or neither; and `zone=N` where a zone counts for this direction alone.
 * A text, because a router has tens of thousands of them.
 */
export interface Tuple {
  readonly protocol: number;
  readonly source: string;
  readonly destination: string;
  readonly ports?: readonly [source: number, destination: number];
  readonly icmp?: { readonly id: number; readonly type: number; readonly code: number };
  readonly zone?: number;
}

const ends = String.raw`(\d{1,3}) ([0-9a-f.:]{2,39}) ([0-9a-f.:]{2,39})`;
const ports = String.raw` (\d{1,5}) (\d{1,5})`;
const icmpWords = String.raw` id=(\d{1,5}) type=(\d{1,3}) code=(\d{1,3})`;
const pattern = new RegExp(`^${ends}(?:${ports}|${icmpWords})?(?: zone=(\\d{1,5}))?$`);
const numbersMax = [0xff, 0, 0, 0xffff, 0xffff, 0xffff, 0xff, 0xff, 0xffff] as const;

export const tupleSchema = z.string().max(160).refine(isTuple, 'not a direction of a connection');

function isTuple(text: string): boolean {
  const found = pattern.exec(text);
  if (found === null) return false;
  const [, , source = '', destination = ''] = found;
  const family = isIP(source);
  if (family === 0 || isIP(destination) !== family) return false;
  return numbersMax.every((max, index) => max === 0 || Number(found[index + 1] ?? 0) <= max);
}

export function parseTuple(text: string): Tuple {
  const [, protocol, source = '', destination = '', from, to, id, type, code, zone] =
    pattern.exec(text) ?? [];
  return {
    protocol: Number(protocol),
    source,
    destination,
    ...(from === undefined ? {} : { ports: [Number(from), Number(to)] as const }),
    ...(id === undefined
      ? {}
      : { icmp: { id: Number(id), type: Number(type), code: Number(code) } }),
    ...(zone === undefined ? {} : { zone: Number(zone) }),
  };
}

/** Whether an answer's direction is the other turned round and no more. */
export function follows(reply: Tuple, original: Tuple): boolean {
  return (
    reply.source === original.destination &&
    reply.destination === original.source &&
    reply.ports?.[0] === original.ports?.[1] &&
    reply.ports?.[1] === original.ports?.[0] &&
    reply.icmp === undefined &&
    reply.zone === undefined
  );
}

export function tupleText({ protocol, source, destination, ports, icmp, zone }: Tuple): string {
  const ends = `${protocol} ${source} ${destination}`;
  const detail =
    ports !== undefined
      ? ` ${ports[0]} ${ports[1]}`
      : icmp === undefined
        ? ''
        : ` id=${icmp.id} type=${icmp.type} code=${icmp.code}`;
  return zone === undefined ? `${ends}${detail}` : `${ends}${detail} zone=${zone}`;
}

/**
 * The direction that answers, as it is without NAT. What of it does not follow from the other,
 * an ICMP answer's type and the zone, is taken from `like`.
 */
export function turnedRound(one: Tuple, like: Tuple): Tuple {
  const { protocol, source, destination, ports, icmp } = one;
  return {
    protocol,
    source: destination,
    destination: source,
    ...(ports === undefined ? {} : { ports: [ports[1], ports[0]] as const }),
    ...(icmp === undefined ? {} : { icmp: { ...(like.icmp ?? icmp), id: icmp.id } }),
    ...(like.zone === undefined ? {} : { zone: like.zone }),
  };
}

/** CTA_TUPLE_*, CTA_IP_*, CTA_PROTO_* of include/uapi/linux/netfilter/nfnetlink_conntrack.h. */
const parts = { ip: 1, protocol: 2, zone: 3 } as const;
const ids = {
  4: { source: 1, destination: 2, icmp: { id: 4, type: 5, code: 6 } },
  6: { source: 3, destination: 4, icmp: { id: 7, type: 8, code: 9 } },
} as const;
const protocolIds = { number: 1, sourcePort: 2, destinationPort: 3 } as const;

/** Reads the nest that lies in `bytes` from `start` to `end`. */
export function readTuple(bytes: Buffer, start: number, end: number): Tuple {
  const found = { protocol: 0, source: '', destination: '' };
  const icmp = { id: 0, type: 0, code: 0 };
  const more: { ports?: [number, number]; icmp?: typeof icmp; zone?: number } = {};
  eachAttribute(bytes, start, end, (part, at, partEnd) => {
    if (part === parts.zone) more.zone = bytes.readUInt16BE(at);
    else if (part === parts.ip) {
      eachAttribute(bytes, at, partEnd, (id, from, to) => {
        const isSource = id === ids[4].source || id === ids[6].source;
        found[isSource ? 'source' : 'destination'] = readAddress(bytes, from, to);
      });
    } else {
      eachAttribute(bytes, at, partEnd, (id, from) => {
        if (id === protocolIds.number) found.protocol = bytes[from] ?? 0;
        else if (id === protocolIds.sourcePort) more.ports = [bytes.readUInt16BE(from), 0];
        else if (id === protocolIds.destinationPort) {
          if (more.ports !== undefined) more.ports[1] = bytes.readUInt16BE(from);
        } else {
          more.icmp = icmp;
          if (id === ids[4].icmp.id || id === ids[6].icmp.id) icmp.id = bytes.readUInt16BE(from);
          else if (id === ids[4].icmp.type || id === ids[6].icmp.type) icmp.type = bytes[from] ?? 0;
          else icmp.code = bytes[from] ?? 0;
        }
      });
    }
  });
  return Object.assign(found, more);
}

export function writeTuple(writer: AttributeWriter, attribute: number, one: Tuple): void {
  const { protocol, source, destination, ports, icmp, zone } = one;
  const numbers = ids[isIPv4(source) ? 4 : 6];
  writer.nest(attribute, () => {
    writer.nest(parts.ip, () => {
      writer.address(numbers.source, source);
      writer.address(numbers.destination, destination);
    });
    writer.nest(parts.protocol, () => {
      writer.uint8(protocolIds.number, protocol);
      if (ports !== undefined) {
        writer.uint16(protocolIds.sourcePort, ports[0]);
        writer.uint16(protocolIds.destinationPort, ports[1]);
      }
      if (icmp === undefined) return;
      writer.uint16(numbers.icmp.id, icmp.id);
      writer.uint8(numbers.icmp.type, icmp.type);
      writer.uint8(numbers.icmp.code, icmp.code);
    });
    if (zone !== undefined) writer.uint16(parts.zone, zone);
  });
}

/** As `forEachAttribute`, with places instead of a view of each payload, which costs more. */
export function eachAttribute(
  bytes: Buffer,
  start: number,
  end: number,
  each: (id: number, at: number, end: number) => void,
): void {
  for (let at = start; at + 4 <= end; ) {
    const length = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
    if (length < 4 || at + length > end) return;
    each(((bytes[at + 2] ?? 0) | ((bytes[at + 3] ?? 0) << 8)) & 0x3fff, at + 4, at + length);
    at += (length + 3) & ~3;
  }
}

function readAddress(bytes: Buffer, at: number, end: number): string {
  if (end - at !== 4) return addressText(bytes.subarray(at, end));
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}
