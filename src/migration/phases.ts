import { asMigrateError, isMigrateError, MigrateError } from '../base/errors.ts';
import { nowMs } from '../host/clock.ts';
import type { MoveEvent, Phase, PhaseName } from './events.ts';

/** Times the phases of a move, tells each one, and puts its name on what goes wrong in it. */
export interface Phases {
  run<T>(name: PhaseName, work: () => Promise<T>): Promise<T>;
  /** A phase that began and ended inside another one's call; instants of the monotonic clock. */
  mark(name: PhaseName, beganAt: number, endedAt: number): void;
  /** Tells what will not arrive, before anything is touched. */
  warn(messages: readonly string[]): void;
  /** INTERRUPTED or TIMED_OUT when somebody wants the move to stop, and it still can. */
  check(): void;
  /** The same while something is waited for: it rejects as `check` throws. */
  orStopped<T>(work: Promise<T>): Promise<T>;
  /** From here on there is only forward: nobody's signal counts any more. */
  pointOfNoReturn(): void;
  /** Milliseconds since the move began. */
  elapsedMs(): number;
  readonly list: readonly Phase[];
}

export interface PhaseOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  onEvent(event: MoveEvent): void;
}

export function createPhases(options: PhaseOptions): Phases {
  const begin = nowMs();
  const list: Phase[] = [];
  let canStop = true;
  const since = (instant: number): number => round(instant - begin);
  const check = (): void => {
    if (!canStop) return;
    if (options.signal?.aborted === true) throw interruption(options.signal);
    const { timeoutMs } = options;
    if (timeoutMs !== undefined && nowMs() - begin > timeoutMs) {
      throw new MigrateError('TIMED_OUT', `the move took longer than ${timeoutMs} ms`);
    }
  };
  return {
    list,
    check,
    elapsedMs: () => since(nowMs()),
    warn(messages) {
      for (const message of messages) options.onEvent({ type: 'warning', message });
    },
    orStopped(work) {
      return orStopped(work, options, begin, check);
    },
    pointOfNoReturn() {
      canStop = false;
    },
    async run(name, work) {
      check();
      const beganAt = nowMs();
      options.onEvent({ type: 'phase', name, startMs: since(beganAt) });
      try {
        return await work();
      } catch (error) {
        throw asMigrateError(error).with({ phase: name });
      } finally {
        list.push({ name, startMs: since(beganAt), ms: round(nowMs() - beganAt) });
      }
    },
    mark(name, beganAt, endedAt) {
      list.push({ name, startMs: since(beganAt), ms: round(endedAt - beganAt) });
    },
  };
}

const timerSlackMs = 5;

async function orStopped<T>(
  work: Promise<T>,
  { signal, timeoutMs }: PhaseOptions,
  begin: number,
  check: () => void,
): Promise<T> {
  let look: () => void = () => undefined;
  const stopped = new Promise<never>((_, reject) => {
    look = () => {
      try {
        check();
      } catch (error) {
        reject(error);
      }
    };
  });
  // Timers count whole milliseconds of another clock, and may come a little early.
  const leftMs = timeoutMs === undefined ? undefined : begin + timeoutMs - nowMs() + timerSlackMs;
  const timer = leftMs === undefined ? undefined : setTimeout(look, leftMs);
  signal?.addEventListener('abort', look);
  look();
  try {
    return await Promise.race([work, stopped]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', look);
  }
}

function interruption(signal: AbortSignal): MigrateError {
  if (isMigrateError(signal.reason)) return signal.reason;
  return new MigrateError('INTERRUPTED', 'the move was interrupted', { cause: signal.reason });
}

/** A tenth of a millisecond is what the clock and the machine are good for. */
function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
