import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { MigrateError } from '../base/errors.ts';
import { inNetns, inNewNetns } from './netns.ts';
import { systemCalls } from './syscalls.ts';

/** One message to the kernel: its type, NLM_F_* flags beyond REQUEST and ACK, what follows. */
export interface NetlinkRequest {
  readonly type: number;
  readonly flags?: number;
  readonly body: Buffer;
}

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  /** What follows the header, padding removed. */
  readonly body: Buffer;
}

/** What the kernel said to one request. */
export interface NetlinkAnswer {
  /** An errno's name, "ENOENT"; absent when the request was carried out. */
  readonly error?: string;
  /** The kernel's own words about the error, where it has some (NLMSGERR_ATTR_MSG). */
  readonly reason?: string;
  readonly replies: readonly NetlinkMessage[];
}

/**
 * A netlink(7) socket. Its calls return at once: the kernel answers in the caller's own system
 * call. Throws KERNEL when a call fails or an answer does not come; what the kernel says about a
 * request is an answer.
 */
export interface NetlinkSocket {
  /** All objects that a dump lists. Throws KERNEL with `what` when the kernel refuses it. */
  dump(request: NetlinkRequest, what: string): NetlinkMessage[];
  /**
   * As `dump`, for each of many requests: for those that list nothing or little, in far fewer
   * system calls. `what` says which of them failed.
   */
  dumpEach(requests: readonly NetlinkRequest[], what: (at: number) => string): NetlinkMessage[][];
  /** Sends requests in order, all of them whatever becomes of one; an answer for each. */
  send(requests: readonly NetlinkRequest[]): NetlinkAnswer[];
  close(): void;
}

/** netlink(7): the families that are spoken here. */
const families = { route: 0, sockDiag: 4, xfrm: 6, netfilter: 12, generic: 16 } as const;
export type NetlinkFamily = keyof typeof families;

/** `netns` is the file of a network namespace; the socket stays in it wherever the thread goes. */
export function openNetlink(family: NetlinkFamily, netns?: string): NetlinkSocket {
  const open = () => openHere(families[family]);
  return netns === undefined ? open() : inNetns(netns, open);
}

/** A socket in a new network namespace, which goes with it. */
export function openNetlinkInNewNetns(family: NetlinkFamily): NetlinkSocket {
  return inNewNetns(() => openHere(families[family]));
}

const afNetlink = 16;
const sockRaw = 3;
const headerBytes = 16;
const flags = { request: 1, ack: 4, dump: 0x300, interrupted: 0x10, ackTlvs: 0x200 } as const;
const types = { error: 2, done: 3 } as const;
const levels = { socket: 1, netlink: 270 } as const;
const options = { capAck: 10, extAck: 11, strictCheck: 12, receiveLimit: 20, force: 33 } as const;

/** The kernel answers within the call; a second says that it will not. */
const answerTimeoutS = 5;
/** What the kernel may have to keep for us: an answer is some hundred bytes. */
const receiveBufferBytes = 8 * 1024 * 1024;
/** Larger than any message: the kernel makes dumps of 32 KiB (net/netlink/af_netlink.c). */
const readBytesMax = 1024 * 1024;
/** Well below the send buffer's default of 208 KiB, in requests and in bytes. */
const batchRequestsMax = 64;
const batchBytesMax = 64 * 1024;
/** A table that changes under a dump is read again. */
const dumpTriesMax = 20;

/** The messages that answer one request, and the one that ends the answer. */
interface Conversation {
  readonly replies: NetlinkMessage[];
  readonly end: NetlinkMessage;
}

function isInterrupted({ replies, end }: Conversation): boolean {
  return [...replies, end].some((message) => (message.flags & flags.interrupted) !== 0);
}

function openHere(protocol: number): NetlinkSocket {
  const calls = systemCalls();
  const fd = calls.socket(afNetlink, sockRaw, protocol);
  setOptions(fd);
  const received = Buffer.allocUnsafe(readBytesMax);
  const kernel = Buffer.alloc(12);
  kernel.writeUInt16LE(afNetlink, 0);
  let sequence = 0;

  function transmit(requests: readonly NetlinkRequest[], extra: number): number {
    const first = sequence + 1;
    const parts = requests.map(({ type, flags: own = 0, body }) => {
      sequence = (sequence + 1) % 0x7fff_ffff;
      const message = Buffer.alloc(align(headerBytes + body.length));
      message.writeUInt32LE(headerBytes + body.length, 0);
      message.writeUInt16LE(type, 4);
      message.writeUInt16LE(own | flags.request | extra, 6);
      message.writeUInt32LE(sequence, 8);
      body.copy(message, headerBytes);
      return message;
    });
    calls.sendTo(fd, Buffer.concat(parts), kernel);
    return first;
  }

  function receive(): (NetlinkMessage & { readonly sequence: number })[] {
    const length = calls.receive(fd, received);
    return splitMessages(Buffer.from(received.subarray(0, length)));
  }

  /** What the kernel says to each of the requests, until it has ended its answer to all. */
  function converse(requests: readonly NetlinkRequest[], extra: number): Conversation[] {
    const first = transmit(requests, extra);
    const replies = requests.map((): NetlinkMessage[] => []);
    const ended: Conversation[] = [];
    let left = requests.length;
    while (left > 0) {
      for (const message of receive()) {
        const at = message.sequence - first;
        const own = replies[at];
        if (own === undefined) continue;
        if (message.type !== types.error && message.type !== types.done) {
          own.push(message);
          continue;
        }
        ended[at] = { replies: own, end: message };
        left -= 1;
      }
    }
    return ended;
  }

  function dump(request: NetlinkRequest, what: string): NetlinkMessage[] {
    for (let tries = 0; tries < dumpTriesMax; tries += 1) {
      const [found] = converse([request], flags.dump);
      if (found === undefined) break;
      const { error, reason } = outcomeOf(found.end);
      if (error !== undefined) {
        throw new MigrateError('KERNEL', `${what}: ${reason ?? error}`, { cause: error });
      }
      if (!isInterrupted(found)) return found.replies;
    }
    throw new MigrateError('KERNEL', `${what}: changed ${dumpTriesMax} times while it was read`);
  }

  return {
    dump,
    // The kernel refuses a dump while another is under way; one that lists nothing is over at once.
    dumpEach: (requests, what) =>
      batchesOf(requests)
        .flatMap((batch) => converse(batch, flags.dump))
        .map((found, at) =>
          isInterrupted(found) || outcomeOf(found.end).error !== undefined
            ? dump(requests[at] as NetlinkRequest, what(at))
            : found.replies,
        ),
    send: (requests) =>
      batchesOf(requests)
        .flatMap((batch) => converse(batch, flags.ack))
        .map(({ replies, end }) => ({ ...outcomeOf(end), replies })),
    close: () => closeSync(fd),
  };
}

function setOptions(fd: number): void {
  const calls = systemCalls();
  const one = Buffer.from([1, 0, 0, 0]);
  for (const option of [options.capAck, options.extAck, options.strictCheck]) {
    calls.setSocketOption(fd, levels.netlink, option, one);
  }
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(receiveBufferBytes);
  calls.setSocketOption(fd, levels.socket, options.force, buffer);
  const timeout = Buffer.alloc(16);
  timeout.writeBigInt64LE(BigInt(answerTimeoutS));
  calls.setSocketOption(fd, levels.socket, options.receiveLimit, timeout);
}

function batchesOf(requests: readonly NetlinkRequest[]): NetlinkRequest[][] {
  const batches: NetlinkRequest[][] = [];
  let bytes = 0;
  for (const request of requests) {
    const size = headerBytes + request.body.length;
    const last = batches.at(-1);
    if (last === undefined || last.length >= batchRequestsMax || bytes + size > batchBytesMax) {
      batches.push([request]);
      bytes = size;
    } else {
      last.push(request);
      bytes += size;
    }
  }
  return batches;
}

function splitMessages(bytes: Buffer): (NetlinkMessage & { readonly sequence: number })[] {
  const messages = [];
  for (let at = 0; at + headerBytes <= bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    if (length < headerBytes || at + length > bytes.length) break;
    messages.push({
      type: bytes.readUInt16LE(at + 4),
      flags: bytes.readUInt16LE(at + 6),
      sequence: bytes.readUInt32LE(at + 8),
      body: bytes.subarray(at + headerBytes, at + length),
    });
    at += align(length);
  }
  return messages;
}

/** ENOTSUP is another name of EOPNOTSUPP. */
const errnoNames = Object.entries(constants.errno).filter(([name]) => name !== 'ENOTSUP');

/** struct nlmsgerr, and the attributes behind it (include/uapi/linux/netlink.h). */
function outcomeOf({ type, flags: own, body }: NetlinkMessage): Omit<NetlinkAnswer, 'replies'> {
  const code = body.length >= 4 ? -body.readInt32LE(0) : 0;
  if (code <= 0) return {};
  const found = errnoNames.find(([, value]) => value === code);
  const error = found?.[0] ?? `errno ${code}`;
  const behind = type === types.error ? 4 + headerBytes : 4;
  const reason = (own & flags.ackTlvs) === 0 ? undefined : reasonIn(body.subarray(behind));
  return reason === undefined ? { error } : { error, reason };
}

function reasonIn(bytes: Buffer): string | undefined {
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4) return undefined;
    if (bytes.readUInt16LE(at + 2) === 1) {
      return bytes.toString('latin1', at + 4, at + length).replace(/\0.*$/s, '');
    }
    at += align(length);
  }
  return undefined;
}

function align(length: number): number {
  return (length + 3) & ~3;
}
