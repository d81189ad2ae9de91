import { asMigrateError, type ErrorRecord, errorToRecord, MigrateError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { transportLimits } from './limits.ts';
import { packValue, unpackValue } from './msgpack.ts';

/** What two peers say to each other; docs/protocol.md explains each kind. */
export type Message =
  | { readonly t: 'hello'; readonly v: number; readonly pid: number }
  | { readonly t: 'call'; readonly i: number; readonly m: string; readonly p?: unknown }
  | { readonly t: 'ok'; readonly i: number; readonly r?: unknown }
  | { readonly t: 'err'; readonly i: number; readonly e: ErrorRecord }
  | { readonly t: 'note'; readonly m: string; readonly p?: unknown }
  | { readonly t: 'open'; readonly s: number; readonly n: string }
  | { readonly t: 'data'; readonly s: number }
  | { readonly t: 'end'; readonly s: number }
  | { readonly t: 'abort'; readonly s: number; readonly e: ErrorRecord }
  | { readonly t: 'credit'; readonly s: number; readonly b: number }
  | { readonly t: 'done'; readonly s: number }
  | { readonly t: 'stop'; readonly s: number; readonly e: ErrorRecord }
  | { readonly t: 'seen'; readonly b: number }
  | { readonly t: 'alive' }
  | { readonly t: 'bye' };

export type MessageOf<K extends Message['t']> = Extract<Message, { t: K }>;

/** Two u32 LE lengths stand before every frame: the header's, then the payload's. */
export const prefixBytes = 8;

/** Prefix and header of a frame; a payload of `payloadBytes` follows them on the wire. */
export function encodeFrame(message: Message, payloadBytes = 0): Buffer {
  const header = packValue(message);
  if (header.byteLength > limits.messageBytesMax) {
    throw new MigrateError(
      'PROTOCOL',
      `a message of ${header.byteLength} bytes is over the limit of ${limits.messageBytesMax}`,
      { hint: 'Large content travels in a stream.' },
    );
  }
  const frame = Buffer.allocUnsafe(prefixBytes + header.byteLength);
  frame.writeUInt32LE(header.byteLength, 0);
  frame.writeUInt32LE(payloadBytes, 4);
  frame.set(header, prefixBytes);
  return frame;
}

/** The header of a frame, checked field by field. Throws PROTOCOL. */
export function decodeMessage(header: Uint8Array): Message {
  const value = unpackValue(header);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new MigrateError('PROTOCOL', 'a message of the peer is not a map');
  }
  const fields = value as Record<string, unknown>;
  const kind = fields.t;
  if (typeof kind !== 'string' || !Object.hasOwn(shapes, kind)) {
    throw new MigrateError('PROTOCOL', `the peer sent a message of unknown kind ${String(kind)}`);
  }
  for (const [name, isRight] of Object.entries(shapes[kind as Message['t']])) {
    if (!isRight(fields[name])) {
      throw new MigrateError('PROTOCOL', `field ${name} of the peer's ${kind} message is wrong`);
    }
  }
  return value as Message;
}

/** Any thrown value as it crosses the wire, within the limits of `decodeMessage`. */
export function recordOf(thrown: unknown): ErrorRecord {
  const record = errorToRecord(asMigrateError(thrown));
  return record.logs === undefined
    ? record
    : { ...record, logs: record.logs.slice(0, transportLimits.errorLogsMax) };
}

type Check = (value: unknown) => boolean;

const isAny: Check = () => true;
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isName: Check = (value) =>
  typeof value === 'string' && value.length > 0 && value.length <= transportLimits.nameCharsMax;
const isText: Check = (value) =>
  typeof value === 'string' && value.length <= 2 * limits.messageCharsMax;
const isTextOrAbsent: Check = (value) => value === undefined || isText(value);
const isError: Check = (value) => {
  if (typeof value !== 'object' || value === null) return false;
  const { code, message, logs, ...rest } = value as Record<string, unknown>;
  const isLogs =
    logs === undefined ||
    (Array.isArray(logs) && logs.length <= transportLimits.errorLogsMax && logs.every(isText));
  return isName(code) && isText(message) && isLogs && Object.values(rest).every(isTextOrAbsent);
};

const shapes: Readonly<Record<Message['t'], Readonly<Record<string, Check>>>> = {
  hello: { v: isCount, pid: isCount },
  call: { i: isCount, m: isName, p: isAny },
  ok: { i: isCount, r: isAny },
  err: { i: isCount, e: isError },
  note: { m: isName, p: isAny },
  open: { s: isCount, n: isName },
  data: { s: isCount },
  end: { s: isCount },
  abort: { s: isCount, e: isError },
  credit: { s: isCount, b: isCount },
  done: { s: isCount },
  stop: { s: isCount, e: isError },
  seen: { b: isCount },
  alive: {},
  bye: {},
};
