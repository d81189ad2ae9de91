import { setTimeout as delay } from 'node:timers/promises';

/** Milliseconds on the monotonic clock, with a fraction; only differences mean anything. */
export function nowMs(): number {
  return performance.now();
}

/** The wall clock, for records that people read. */
export function isoNow(): string {
  return new Date().toISOString();
}

export async function sleepMs(ms: number): Promise<void> {
  await delay(ms);
}

/**
 * Looks until `ready` says yes, at most `timeoutMs`; answers whether it did.
 * The pause between looks is `stepMs`.
 */
export async function poll(
  ready: () => Promise<boolean> | boolean,
  timeoutMs: number,
  stepMs: number,
): Promise<boolean> {
  const end = nowMs() + timeoutMs;
  while (!(await ready())) {
    if (nowMs() >= end) return false;
    await sleepMs(stepMs);
  }
  return true;
}

/** Lets what waits run: timers that are due, and data that has come. */
export function breath(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
