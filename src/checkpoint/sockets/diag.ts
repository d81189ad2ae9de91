import { isMigrateError } from '../../base/errors.ts';
import { type NetlinkMessage, type NetlinkSocket, openNetlink } from '../../host/netlink.ts';
import { socketFamilies, socketProtocols } from '../../network/sockets/kinds.ts';

/** What sock_diag(7) says of a TCP, UDP, MPTCP or raw socket. */
export interface InetDiag {
  readonly table: 'inet';
  readonly family: number;
  readonly protocol: number;
  /** Of src/network/sockets/kinds.ts, tcpStates. */
  readonly state: number;
  /** Bytes unread; for a listener, connections that wait to be accepted. */
  readonly receiveQueue: number;
  /** It has or had a peer at an address of a link's own (fe80::/10). */
  readonly isLinkLocalPeer: boolean;
  /** The upper layer protocol, such as `tls`. */
  readonly upper?: string;
  /** TCP_MD5SIG keys are set. */
  readonly hasMd5: boolean;
}

export interface UnixDiag {
  readonly table: 'unix';
  readonly type: number;
  readonly state: number;
  /** Inode of the socket at the other end; 0 without one, and for one that nobody holds yet. */
  readonly peer: number;
  readonly isShut: boolean;
  readonly sendQueue: number;
  /** Of a listener: inodes of the sockets that wait to be accepted, 0 for one that has gone. */
  readonly waiting: readonly number[];
}

export interface PacketDiag {
  readonly table: 'packet';
  /** Number of the device that it is bound to; 0 for all. */
  readonly device: number;
  readonly hasRing: boolean;
  /** Memberships: the device of each, and how often it was made. */
  readonly memberships: readonly { readonly device: number; readonly count: number }[];
  readonly receiveQueue: number;
}

export interface NetlinkDiag {
  readonly table: 'netlink';
  readonly protocol: number;
  readonly port: number;
  /** Its list of groups, a bit each; undefined when it never asked for one. */
  readonly groups: Buffer | undefined;
  readonly receiveQueue: number;
}

export type SocketDiag = InetDiag | UnixDiag | PacketDiag | NetlinkDiag;

/**
 * Every socket of a network namespace by inode: one dump a protocol, some microseconds a socket.
 * What a kernel cannot list (no raw_diag, say) is not there; nor are sockets that are in no table
 * yet, because they were never bound or connected.
 */
export function readSockDiag(netns: string): Map<number, SocketDiag> {
  const socket = openNetlink('sockDiag', netns);
  const found = new Map<number, SocketDiag>();
  try {
    for (const family of [socketFamilies.inet, socketFamilies.inet6]) {
      for (const protocol of inetProtocols) {
        for (const body of listInet(socket, family, protocol)) {
          found.set(body.readUInt32LE(inetAt.inode), readInet(body, protocol));
        }
      }
    }
    for (const { body } of list(socket, unixRequest())) {
      found.set(body.readUInt32LE(4), readUnix(body));
    }
    for (const { body } of list(socket, packetRequest())) {
      found.set(body.readUInt32LE(4), readPacket(body));
    }
    for (const { body } of list(socket, netlinkRequest())) {
      found.set(body.readUInt32LE(16), readNetlink(body));
    }
  } finally {
    socket.close();
  }
  // Sockets of the kernel's own and such that wait to be accepted have no inode.
  found.delete(0);
  return found;
}

const inetProtocols = [
  socketProtocols.tcp,
  socketProtocols.udp,
  socketProtocols.udplite,
  socketProtocols.mptcp,
  /** IPPROTO_RAW asks for raw sockets of every protocol (net/ipv4/raw_diag.c). */
  255,
];

/** SOCK_DIAG_BY_FAMILY of include/uapi/linux/sock_diag.h */
const byFamily = 20;

function list(socket: NetlinkSocket, body: Buffer): NetlinkMessage[] {
  try {
    return socket.dump({ type: byFamily, body }, 'list of sockets');
  } catch (error) {
    const known = isMigrateError(error) && absent.includes(String(error.details.cause));
    if (known) return [];
    throw error;
  }
}

/** What the kernel says of a protocol that it cannot list or does not have. */
const absent = ['ENOENT', 'EINVAL', 'EOPNOTSUPP', 'EPROTONOSUPPORT'];

/** Offsets in struct inet_diag_msg (include/uapi/linux/inet_diag.h). */
export const inetAt = {
  state: 1,
  localPort: 4,
  remotePort: 6,
  local: 8,
  remote: 24,
  receiveQueue: 56,
  sendQueue: 60,
  inode: 68,
  attributes: 72,
} as const;

/** Each a struct inet_diag_msg; `states` has a bit for each state that counts. */
export function listInet(
  socket: NetlinkSocket,
  family: number,
  protocol: number,
  states = 0xffff_ffff,
): Buffer[] {
  return list(socket, inetRequest(family, protocol, states)).map(({ body }) => body);
}

/** struct inet_diag_req_v2; MPTCP's number needs an attribute, INET_DIAG_REQ_PROTOCOL. */
function inetRequest(family: number, protocol: number, states: number): Buffer {
  const isWide = protocol > 255;
  const body = Buffer.alloc(isWide ? 64 : 56);
  body.writeUInt8(family, 0);
  body.writeUInt8(protocol & 0xff, 1);
  body.writeUInt32LE(states, 4);
  if (isWide) {
    body.writeUInt16LE(8, 56);
    body.writeUInt16LE(3, 58);
    body.writeUInt32LE(protocol, 60);
  }
  return body;
}

const inetAttributes = { md5: 18, upper: 19 } as const;

function readInet(body: Buffer, protocol: number): InetDiag {
  const family = body.readUInt8(0);
  const attributes = attributesOf(body, inetAt.attributes);
  const upper = attributes.get(inetAttributes.upper);
  const name = upper === undefined ? undefined : attributesOf(upper, 0).get(1);
  return {
    table: 'inet',
    family,
    protocol,
    state: body.readUInt8(inetAt.state),
    receiveQueue: body.readUInt32LE(inetAt.receiveQueue),
    isLinkLocalPeer: family === socketFamilies.inet6 && isLinkLocal(body, inetAt.remote),
    hasMd5: attributes.has(inetAttributes.md5),
    ...(name === undefined ? {} : { upper: name.toString('latin1').replace(/\0.*$/s, '') }),
  };
}

function isLinkLocal(body: Buffer, at: number): boolean {
  return (body.readUInt16BE(at) & 0xffc0) === 0xfe80;
}

/** struct unix_diag_req: everything in every state, with peer, waiting connections and queues. */
function unixRequest(): Buffer {
  const body = Buffer.alloc(24);
  body.writeUInt8(socketFamilies.unix, 0);
  body.writeUInt32LE(0xffff_ffff, 4);
  body.writeUInt32LE(0x04 | 0x08 | 0x10, 12);
  return body;
}

function readUnix(body: Buffer): UnixDiag {
  const attributes = attributesOf(body, 16);
  const icons = attributes.get(3);
  const queues = attributes.get(4);
  const waiting: number[] = [];
  for (let at = 0; icons !== undefined && at + 4 <= icons.length; at += 4) {
    waiting.push(icons.readUInt32LE(at));
  }
  return {
    table: 'unix',
    type: body.readUInt8(1),
    state: body.readUInt8(2),
    peer: attributes.get(2)?.readUInt32LE() ?? 0,
    isShut: attributes.get(6)?.readUInt8() === 3,
    sendQueue: queues === undefined ? 0 : queues.readUInt32LE(4),
    waiting,
  };
}

/** struct packet_diag_req with information, memberships, rings and memory. */
function packetRequest(): Buffer {
  const body = Buffer.alloc(20);
  body.writeUInt8(socketFamilies.packet, 0);
  body.writeUInt32LE(0x01 | 0x02 | 0x04 | 0x10, 8);
  return body;
}

const membershipBytes = 44;

function readPacket(body: Buffer): PacketDiag {
  const attributes = attributesOf(body, 16);
  const list = attributes.get(1) ?? Buffer.alloc(0);
  const memberships = [];
  for (let at = 0; at + membershipBytes <= list.length; at += membershipBytes) {
    memberships.push({ device: list.readUInt32LE(at), count: list.readUInt32LE(at + 4) });
  }
  return {
    table: 'packet',
    device: attributes.get(0)?.readUInt32LE() ?? 0,
    hasRing: attributes.has(2) || attributes.has(3),
    memberships,
    receiveQueue: attributes.get(6)?.readUInt32LE() ?? 0,
  };
}

/** struct netlink_diag_req: all protocols, with memory and groups. */
function netlinkRequest(): Buffer {
  const body = Buffer.alloc(20);
  body.writeUInt8(socketFamilies.netlink, 0);
  body.writeUInt8(0xff, 1);
  body.writeUInt32LE(0x01 | 0x02, 8);
  return body;
}

function readNetlink(body: Buffer): NetlinkDiag {
  const attributes = attributesOf(body, 28);
  return {
    table: 'netlink',
    protocol: body.readUInt8(2),
    port: body.readUInt32LE(4),
    groups: attributes.get(1),
    receiveQueue: attributes.get(0)?.readUInt32LE() ?? 0,
  };
}

/** Route attributes by type; nested ones keep their bytes. */
function attributesOf(bytes: Buffer, from: number): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = from; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) break;
    found.set(bytes.readUInt16LE(at + 2) & 0x3fff, bytes.subarray(at + 4, at + length));
    at += (length + 3) & ~3;
  }
  return found;
}
