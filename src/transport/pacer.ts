import type { MigrateError } from '../base/errors.ts';
import { transportLimits } from './limits.ts';

/**
 * Bounds the stream bytes that are on the way, all streams of a link together, so that a call never
 * queues behind more than about a millisecond of them. It steers by delay, as TCP Vegas does: while
 * chunks arrive as fast as the fastest did, more may be on the way; once they queue, fewer.
 * Arrival, not consumption, is what counts here: a slow consumer is held back by its own credit.
 */
export interface Pacer {
  /** Waits for room, in the order of the calls. Rejects once the link has failed. */
  take(bytes: number): Promise<void>;
  /** The peer has received `total` stream bytes since the link began. */
  seen(total: number): void;
  fail(error: MigrateError): void;
  readonly sentBytes: number;
  readonly inFlightMax: number;
}

export function createPacer(nowMs: () => number): Pacer {
  // While the shortest delay is measured anew, little is on the way: else a queue of our own would
  // count as the link's latency, and grow at every measurement.
  const shortest = createShortestDelay(nowMs, () => {
    inFlightMax = transportLimits.inFlightBytesMin;
  });
  const marks: { end: number; at: number }[] = [];
  const waiting: { bytes: number; resolve: () => void; reject: (error: MigrateError) => void }[] =
    [];
  let inFlightMax: number = transportLimits.inFlightBytesMin;
  let sent = 0;
  let arrived = 0;
  let failure: MigrateError | undefined;

  function grant(bytes: number): void {
    sent += bytes;
    marks.push({ end: sent, at: nowMs() });
  }

  function hasRoom(bytes: number): boolean {
    return sent - arrived + bytes <= inFlightMax;
  }

  return {
    take(bytes) {
      if (failure !== undefined) return Promise.reject(failure);
      if (waiting.length === 0 && hasRoom(bytes)) {
        grant(bytes);
        return Promise.resolve();
      }
      return new Promise((resolve, reject) => waiting.push({ bytes, resolve, reject }));
    },
    seen(total) {
      let delayMs: number | undefined;
      for (let mark = marks[0]; mark !== undefined && mark.end <= total; mark = marks[0]) {
        delayMs = nowMs() - mark.at;
        marks.shift();
      }
      const fresh = total - arrived;
      arrived = total;
      if (delayMs !== undefined) {
        const shortestMs = shortest(delayMs);
        inFlightMax = steer(inFlightMax, fresh, delayMs, shortestMs);
      }
      for (let next = waiting[0]; next !== undefined && hasRoom(next.bytes); next = waiting[0]) {
        waiting.shift();
        grant(next.bytes);
        next.resolve();
      }
    },
    fail(error) {
      failure = error;
      for (const waiter of waiting.splice(0)) waiter.reject(error);
    },
    get sentBytes() {
      return sent;
    },
    get inFlightMax() {
      return inFlightMax;
    },
  };
}

/** The next bound: a long link may queue half of its own latency, a short one `queueDelayMs`. */
function steer(inFlight: number, fresh: number, delayMs: number, shortestMs: number): number {
  const queuedMs = delayMs - shortestMs;
  const allowedMs = transportLimits.queueDelayMs + shortestMs / 2;
  const next = queuedMs <= allowedMs ? inFlight + fresh : inFlight - fresh / 2;
  return Math.min(
    transportLimits.inFlightBytesMax,
    Math.max(transportLimits.inFlightBytesMin, next),
  );
}

/** The shortest of the last samples: the link's own latency, without any queue. */
function createShortestDelay(
  nowMs: () => number,
  onTurn: () => void,
): (sampleMs: number) => number {
  let current = Number.POSITIVE_INFINITY;
  let previous = Number.POSITIVE_INFINITY;
  let turnsAt = nowMs() + transportLimits.shortestDelayKeptMs;
  return (sampleMs) => {
    if (nowMs() >= turnsAt) {
      previous = current;
      current = Number.POSITIVE_INFINITY;
      onTurn();
      turnsAt = nowMs() + transportLimits.shortestDelayKeptMs;
    }
    current = Math.min(current, sampleMs);
    return Math.min(current, previous);
  };
}
