import { assert } from '../base/assert.ts';
import { errorFromRecord, MigrateError, type Side } from '../base/errors.ts';
import { transportLimits } from './limits.ts';
import { type Message, type MessageOf, recordOf } from './message.ts';
import type { Pacer } from './pacer.ts';
import { createSink, type Sink, type SinkControl } from './sink.ts';
import { createSource, type Source } from './source.ts';

/** Consumes one stream of the peer; when it resolves, the peer's `end()` does. */
export type StreamHandler = (name: string, source: AsyncIterable<Uint8Array>) => Promise<void>;

export type StreamMessage = MessageOf<
  'open' | 'data' | 'end' | 'abort' | 'credit' | 'done' | 'stop' | 'seen'
>;

/** All streams of a link: the sinks that we opened, the sources that the peer opened. */
export interface Streams {
  openSink(name: string): Sink;
  receive(message: StreamMessage, payload: Uint8Array): void;
  fail(error: MigrateError): void;
}

export interface StreamsContext {
  readonly send: (message: Message) => void;
  readonly sendChunk: (id: number, payload: Uint8Array) => Promise<void>;
  readonly pacer: Pacer;
  readonly onStream: StreamHandler | undefined;
  readonly remoteSide: Side;
}

export function createStreams(context: StreamsContext): Streams {
  const sinks = createSinks(context);
  const sources = createSources(context);
  return {
    openSink: sinks.open,
    receive(message, payload) {
      switch (message.t) {
        case 'open':
          sources.start(message);
          break;
        case 'data':
        case 'end':
        case 'abort':
          sources.receive(message, payload);
          break;
        case 'seen':
          sinks.seen(message.b);
          break;
        default:
          sinks.receive(message);
      }
    },
    fail(error) {
      sinks.fail(error);
      sources.fail(error);
    },
  };
}

function createSinks(context: StreamsContext) {
  const open = new Map<number, SinkControl>();
  let lastId = 0;
  let seenBytes = 0;
  let failure: MigrateError | undefined;

  return {
    open(name: string): Sink {
      assert(name.length > 0 && name.length <= transportLimits.nameCharsMax, 'a name is a word');
      lastId += 1;
      const id = lastId;
      const { send, sendChunk, pacer, remoteSide } = context;
      const onClosed = () => open.delete(id);
      const sink = createSink({ id, name, send, sendChunk, pacer, remoteSide, onClosed });
      if (failure !== undefined) {
        sink.fail(failure);
        return sink;
      }
      open.set(id, sink);
      send({ t: 'open', s: id, n: name });
      return sink;
    },
    seen(total: number): void {
      if (total < seenBytes || total > context.pacer.sentBytes) {
        throw new MigrateError('PROTOCOL', 'the peer has seen bytes that were never sent');
      }
      seenBytes = total;
      context.pacer.seen(total);
    },
    receive(message: MessageOf<'credit' | 'done' | 'stop'>): void {
      if (message.s > lastId) {
        throw new MigrateError('PROTOCOL', 'the peer speaks of a stream that was never opened');
      }
      const sink = open.get(message.s);
      if (message.t === 'credit') sink?.credit(message.b);
      else if (message.t === 'done') sink?.done();
      else sink?.stop(message);
    },
    fail(error: MigrateError): void {
      failure = error;
      for (const sink of [...open.values()]) sink.fail(error);
    },
  };
}

function createSources(context: StreamsContext) {
  const open = new Map<number, Source>();
  let lastId = 0;
  let arrivedBytes = 0;
  let reportedBytes = 0;

  function start(message: MessageOf<'open'>): void {
    if (message.s !== lastId + 1 || open.size >= transportLimits.streamsOpenMax) {
      throw new MigrateError('PROTOCOL', `the peer may not open stream ${message.s} now`);
    }
    lastId = message.s;
    const source = createSource(message.n, (bytes) =>
      context.send({ t: 'credit', s: message.s, b: bytes }),
    );
    open.set(message.s, source);
    void consume(message, source);
  }

  async function consume({ s, n }: MessageOf<'open'>, source: Source): Promise<void> {
    try {
      if (context.onStream === undefined) {
        throw new MigrateError('PROTOCOL', `nobody here reads streams such as ${n}`);
      }
      await context.onStream(n, source);
      open.delete(s);
      if (source.isReadToEnd) context.send({ t: 'done', s });
      else throw new MigrateError('TRANSFER_FAILED', `stream ${n} was not read to its end`);
    } catch (error) {
      open.delete(s);
      source.fail(new MigrateError('TRANSFER_FAILED', `stream ${n} is not read any more`));
      context.send({ t: 'stop', s, e: recordOf(error) });
    }
  }

  /** Counts what nobody reads any more as well: it is the link that is paced. */
  function count(bytes: number): void {
    arrivedBytes += bytes;
    if (arrivedBytes - reportedBytes < transportLimits.seenStepBytes) return;
    reportedBytes = arrivedBytes;
    context.send({ t: 'seen', b: arrivedBytes });
  }

  return {
    start,
    receive(message: MessageOf<'data' | 'end' | 'abort'>, payload: Uint8Array): void {
      if (message.s > lastId) {
        throw new MigrateError('PROTOCOL', 'the peer writes to a stream that it never opened');
      }
      if (message.t === 'data') count(payload.byteLength);
      const source = open.get(message.s);
      if (message.t === 'data') source?.arrive(payload);
      else if (message.t === 'end') source?.end();
      else source?.fail(errorFromRecord(message.e).with({ side: context.remoteSide }));
    },
    fail(error: MigrateError): void {
      for (const source of open.values()) source.fail(error);
      open.clear();
    },
  };
}
