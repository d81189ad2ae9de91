import { nowMs, sleepMs } from '../host/clock.ts';

/** Keeps what is sent under a rate; nothing is kept back when there is none. */
export interface Bandwidth {
  /** Resolves when so many bytes may go. */
  take(bytes: number): Promise<void>;
}

/** What may go at once after a pause: 20 ms of the rate, so that bursts stay small on the wire. */
const burstMs = 20;

export function createBandwidth(bytesPerSecond: number | undefined): Bandwidth {
  if (bytesPerSecond === undefined) return { take: async () => undefined };
  const bytesPerMs = bytesPerSecond / 1000;
  let freeAt = nowMs();
  return {
    async take(bytes) {
      const now = nowMs();
      freeAt = Math.max(freeAt, now - burstMs) + bytes / bytesPerMs;
      if (freeAt > now) await sleepMs(freeAt - now);
    },
  };
}
