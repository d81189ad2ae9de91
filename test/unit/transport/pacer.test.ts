import { expect, test } from 'vitest';
import { limits } from '../../../src/base/limits.ts';
import { transportLimits } from '../../../src/transport/limits.ts';
import { createPacer } from '../../../src/transport/pacer.ts';

const chunkBytes = limits.chunkBytesMax;

/** Sends for `seconds` over a link of that rate and latency; says what came of it. */
async function drive(bytesPerMs: number, latencyMs: number, seconds: number) {
  let nowMs = 0;
  const pacer = createPacer(() => nowMs);
  const arrivals: { atMs: number; total: number }[] = [];
  let busyUntilMs = 0;
  const send = async () => {
    while (nowMs < seconds * 1_000) {
      await pacer.take(chunkBytes);
      busyUntilMs = Math.max(busyUntilMs, nowMs) + chunkBytes / bytesPerMs;
      arrivals.push({ atMs: busyUntilMs + latencyMs, total: pacer.sentBytes });
    }
  };
  void send();
  let arrived = 0;
  while (nowMs < seconds * 1_000) {
    for (let turn = 0; turn < 40; turn++) await Promise.resolve();
    const next = arrivals.shift();
    if (next === undefined) break;
    nowMs = next.atMs;
    arrived = next.total;
    pacer.seen(next.total);
  }
  return { bytesPerMs: arrived / nowMs, inFlightMax: pacer.inFlightMax };
}

test('a short link is kept busy by little', async () => {
  const { bytesPerMs, inFlightMax } = await drive(400_000, 0.2, 2);
  expect(bytesPerMs).toBeGreaterThan(350_000);
  expect(inFlightMax).toBeLessThanOrEqual(6 * chunkBytes);
});

test('a long link gets as much as the ceiling allows', async () => {
  const { bytesPerMs, inFlightMax } = await drive(400_000, 20, 4);
  expect(inFlightMax).toBe(transportLimits.inFlightBytesMax);
  expect(bytesPerMs).toBeGreaterThan(0.8 * (transportLimits.inFlightBytesMax / 20));
});

test('a slow link does not hold a queue of seconds', async () => {
  const { inFlightMax } = await drive(1_000, 1, 300);
  expect(inFlightMax).toBeLessThanOrEqual(5 * chunkBytes);
});
