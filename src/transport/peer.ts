import type { Readable, Writable } from 'node:stream';
import { MigrateError, type Side } from '../base/errors.ts';
import { type CallHandler, type CallOptions, createCalls } from './calls.ts';
import type { Frame } from './frame-reader.ts';
import { createLink, type LinkEnd } from './link.ts';
import { createPacer } from './pacer.ts';
import type { Sink } from './sink.ts';
import { createStreams, type StreamHandler } from './streams.ts';

/** One end of a link. Both ends are alike: each may call, notify and send streams at any time. */
export interface Peer {
  /**
   * Runs `method` on the other side and resolves with its result, a plain value. Rejects with the
   * MigrateError that the handler threw (`details.side` is the other side), with TIMED_OUT, or with
   * CONNECTION_LOST; after the latter two the method may have run or not.
   */
  call(method: string, params?: unknown, options?: CallOptions): Promise<unknown>;
  /** Tells the other side something, in order with calls and without an answer. */
  notify(method: string, params?: unknown): void;
  /** Opens a stream to the other side; bytes may be written at once. */
  openSink(name: string): Sink;
  /** Says goodbye and closes both streams; resolves when that is done. May be called again. */
  close(): Promise<void>;
  /** Resolves once, when the link has ended for whatever reason; never rejects. */
  readonly closed: Promise<LinkEnd>;
}

/** What this end offers. Handlers check their input; what they throw crosses the link. */
export interface PeerHandlers {
  readonly calls?: Readonly<Record<string, CallHandler>>;
  /** A notification that nobody handles is dropped; one whose handler throws ends the link. */
  readonly notes?: Readonly<Record<string, (params: unknown) => void>>;
  /** Must read the source to its end: a stream that was left early fails at its sender. */
  readonly onStream?: StreamHandler;
}

export interface PeerOptions {
  /** Whose errors come out of `call`; `target` unless said. */
  readonly remoteSide?: Side;
  readonly explainEnd?: () => Promise<string>;
}

/** Makes the end of a link over two byte streams whose handshake is over; they are its own now. */
export function createPeer(
  readable: Readable,
  writable: Writable,
  handlers: PeerHandlers | ((peer: Peer) => PeerHandlers),
  options: PeerOptions = {},
): Peer {
  const remoteSide = options.remoteSide ?? 'target';
  const pacer = createPacer(() => performance.now());
  let announceEnd: (end: LinkEnd) => void;
  const closed = new Promise<LinkEnd>((resolve) => {
    announceEnd = resolve;
  });
  const link = createLink(readable, writable, {
    onFrame,
    onEnd: (end) => {
      pacer.fail(end.error);
      calls.fail(end.error);
      streams.fail(end.error);
      announceEnd(end);
    },
    explainEnd: options.explainEnd,
  });
  const calls = createCalls({
    send: link.send,
    handler: (method) => own(offered.calls, method),
    remoteSide,
  });
  const peer: Peer = {
    call: (method, params, callOptions = {}) => calls.call(method, params, callOptions),
    notify: (method, params) => link.send({ t: 'note', m: method, p: params }),
    openSink: (name) => streams.openSink(name),
    close: link.close,
    closed,
  };
  const offered = typeof handlers === 'function' ? handlers(peer) : handlers;
  const { send, sendChunk } = link;
  const streams = createStreams({
    send,
    sendChunk,
    pacer,
    onStream: offered.onStream,
    remoteSide,
  });

  function onFrame({ message, headerBytes, payload }: Frame): void {
    switch (message.t) {
      case 'call':
        calls.serve(message, headerBytes);
        break;
      case 'ok':
      case 'err':
        calls.answered(message);
        break;
      case 'note':
        own(offered.notes, message.m)?.(message.p ?? undefined);
        break;
      case 'alive':
        break;
      case 'hello':
      case 'bye':
        throw new MigrateError('PROTOCOL', `the peer said ${message.t} in the middle`);
      default:
        streams.receive(message, payload);
    }
  }

  return peer;
}

/** A name from the peer finds what we offer and never what every object inherits. */
function own<T>(table: Readonly<Record<string, T>> | undefined, name: string): T | undefined {
  return table !== undefined && Object.hasOwn(table, name) ? table[name] : undefined;
}
