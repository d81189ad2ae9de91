import type { ErrorCode } from '../base/codes.ts';
import { asMigrateError, errorFromRecord, MigrateError, type Side } from '../base/errors.ts';
import { transportLimits } from './limits.ts';
import { type Message, type MessageOf, recordOf } from './message.ts';

/** Answers one call: checks `params` itself and returns a plain value. Throws MigrateError. */
export type CallHandler = (params: unknown) => Promise<unknown>;

export interface CallOptions {
  /** Milliseconds to wait for the answer; the handler on the other side is not stopped. */
  readonly timeoutMs?: number;
  /** The code of the error when that time has passed; TIMED_OUT unless said. */
  readonly timeoutCode?: ErrorCode;
}

/** Both directions of calls over one link: ours that wait for answers, the peer's that run here. */
export interface Calls {
  call(method: string, params: unknown, options: CallOptions): Promise<unknown>;
  answered(message: MessageOf<'ok'> | MessageOf<'err'>): void;
  serve(message: MessageOf<'call'>, headerBytes: number): void;
  fail(error: MigrateError): void;
}

export interface CallsContext {
  /** Sends now or throws; a link that has ended swallows it. */
  readonly send: (message: Message) => void;
  readonly handler: (method: string) => CallHandler | undefined;
  readonly remoteSide: Side;
}

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: MigrateError) => void;
  readonly timer: NodeJS.Timeout;
}

export function createCalls(context: CallsContext): Calls {
  const pending = new Map<number, Pending>();
  let lastId = 0;
  let served = 0;
  let servedBytes = 0;
  let failure: MigrateError | undefined;

  function settle(id: number): Pending | undefined {
    const entry = pending.get(id);
    pending.delete(id);
    clearTimeout(entry?.timer);
    return entry;
  }

  function start(method: string, params: unknown, options: CallOptions): Promise<unknown> {
    if (failure !== undefined) return Promise.reject(failure);
    if (pending.size >= transportLimits.callsPendingMax) {
      const why = `more than ${transportLimits.callsPendingMax} calls wait for an answer`;
      return Promise.reject(new MigrateError('INTERNAL', why));
    }
    lastId += 1;
    const id = lastId;
    return new Promise((resolve, reject) => {
      const timeoutMs = options.timeoutMs ?? transportLimits.callTimeoutMs;
      const timer = setTimeout(() => settle(id)?.reject(late(method, timeoutMs)), timeoutMs);
      pending.set(id, { resolve, reject, timer });
      try {
        context.send({ t: 'call', i: id, m: method, p: params });
      } catch (error) {
        settle(id)?.reject(asMigrateError(error));
      }
    });

    function late(name: string, timeoutMs: number): MigrateError {
      const message = `no answer to ${name} within ${timeoutMs} ms`;
      return new MigrateError(options.timeoutCode ?? 'TIMED_OUT', message);
    }
  }

  async function run(message: MessageOf<'call'>): Promise<void> {
    try {
      const handler = context.handler(message.m);
      if (handler === undefined) {
        throw new MigrateError('PROTOCOL', `there is no method ${message.m}`);
      }
      context.send({ t: 'ok', i: message.i, r: await handler(message.p) });
    } catch (error) {
      context.send({ t: 'err', i: message.i, e: recordOf(error) });
    }
  }

  return {
    call: start,
    answered(message) {
      if (message.i === 0 || message.i > lastId) {
        throw new MigrateError('PROTOCOL', 'the peer answered a call that was never made');
      }
      // An answer that comes after its timeout finds no entry and is dropped.
      const entry = settle(message.i);
      if (message.t === 'ok') entry?.resolve(message.r ?? undefined);
      else entry?.reject(errorFromRecord(message.e).with({ side: context.remoteSide }));
    },
    serve(message, headerBytes) {
      const { callsServedMax, servedBytesMax } = transportLimits;
      if (served >= callsServedMax || servedBytes + headerBytes > servedBytesMax) {
        throw new MigrateError('PROTOCOL', 'the peer has too many calls running');
      }
      served += 1;
      servedBytes += headerBytes;
      void run(message).finally(() => {
        served -= 1;
        servedBytes -= headerBytes;
      });
    },
    fail(error) {
      failure = error;
      for (const id of [...pending.keys()]) settle(id)?.reject(error);
    },
  };
}
