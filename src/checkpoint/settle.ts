import { nowMs, sleepMs } from '../host/clock.ts';
import type { LockSpec } from '../network/switchover/lock.ts';
import { readPassing } from './sockets/passing.ts';

/** A neighbour's handshake takes a millisecond; far ones are not waited for. */
const settleTimeoutMs = 50;
const settleStepMs = 2;
/** A FIN takes a number, as a byte does (RFC 9293, 3.4). */
const finBytes = 1;

/**
 * While no new connection comes in and the job still runs: those that are being opened get to the
 * program, those that it has closed get rid of what they have to send. Neither can move.
 */
export async function settle(lock: LockSpec): Promise<void> {
  const end = nowMs() + settleTimeoutMs;
  while (!isSettled(lock) && nowMs() < end) await sleepMs(settleStepMs);
}

function isSettled(lock: LockSpec): boolean {
  const { opening, closing } = readPassing(lock);
  return opening === 0 && closing.every(({ unackedBytes }) => unackedBytes <= finBytes);
}

/** What is lost when the job's addresses leave this host; undefined when that is nothing. */
export function lostInClosing(lock: LockSpec): string | undefined {
  const sending = readPassing(lock).closing.filter(({ unackedBytes }) => unackedBytes > finBytes);
  if (sending.length === 0) return undefined;
  const bytes = sending.reduce((sum, { unackedBytes }) => sum + unackedBytes - finBytes, 0);
  const who = sending.length === 1 ? 'a connection' : `${sending.length} connections`;
  return `${who} that the job had closed before it moved had ${bytes} bytes left to send: lost`;
}
