import type { StoredJob } from '../job/record.ts';
import { parseInterfaceAddress } from '../network/address.ts';
import { type HoldSpec, releaseHold, removeHold } from '../network/switchover/hold.ts';
import { type LockSpec, removeLock } from '../network/switchover/lock.ts';

/** How the target can be reached on the job's network, to send held packets on to it. */
export interface RelayTarget {
  readonly v4?: string;
  readonly v6?: string;
}

/** The one lock of a move on the source: packets for the job wait, everything else is dropped. */
export interface SourceLock {
  readonly hold: HoldSpec;
  readonly lock: LockSpec;
}

/** Addresses that stand for "the same MAC, but not here" in an l2 job's old namespace. */
const relayNeighbour = { v4: '169.254.77.1', v6: 'fe80::6d67:1' } as const;

export function sourceLockOf(
  job: StoredJob,
  id: string,
  device: string,
  target: RelayTarget,
): SourceLock {
  const own = job.ip.map((text) => parseInterfaceAddress(text).address);
  const inside = job.netns === undefined ? {} : { netns: job.netns };
  const relay =
    job.kind === 'l2'
      ? { device, ...relayNeighbour }
      : {
          device,
          ...(target.v4 === undefined ? {} : { v4: target.v4 }),
          ...(target.v6 === undefined ? {} : { v6: target.v6 }),
        };
  const loopback = job.loopback === undefined ? [] : [job.loopback.v4, job.loopback.v6];
  return {
    hold: { id, device, addresses: own, ...inside },
    lock: { id, addresses: [...own, ...loopback], relay, ...inside },
  };
}

/** The job goes on here: everything that was held is delivered to it. */
export async function reopen({ hold, lock }: SourceLock): Promise<void> {
  await removeLock(lock);
  await releaseHold(hold).catch(() => undefined);
}

export async function removeSourceLock({ hold, lock }: SourceLock): Promise<void> {
  await removeLock(lock);
  await removeHold(hold);
}
