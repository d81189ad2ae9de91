import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ArmedTool } from '../host/arm.ts';
import { readIfPresent } from '../host/files.ts';
import type { StoredJob } from '../job/record.ts';
import { parseInterfaceAddress } from '../network/address.ts';
import {
  type HandedOver,
  handOver,
  type Relay,
  relaysOf,
  type TargetMacs,
  takeBack,
} from '../network/l2/hand-over.ts';
import { readWire, type Wire } from '../network/l2/wire.ts';
import {
  armHoldRelease,
  type HoldSpec,
  releaseHold,
  removeHold,
} from '../network/switchover/hold.ts';
import { armLock, type LockSpec, leaveLocked, removeLock } from '../network/switchover/lock.ts';

/** How the target can be reached on the job's network, to send held packets on to it. */
export interface RelayTarget {
  readonly v4?: string | undefined;
  readonly v6?: string | undefined;
  /** l2: MACs of its own devices that the job's will hang on. */
  readonly macs?: TargetMacs | undefined;
}

/** The one lock of a move on the source: packets for the job wait, everything else is dropped. */
export interface SourceLock {
  readonly hold: HoldSpec;
  readonly lock: LockSpec;
  /** l2: what moves along with the job. */
  readonly wire?: Wire;
  readonly relays?: readonly Relay[];
}

/** Of a move, or of an earlier one that has to be undone: there its id is enough. */
export function sourceLockOf(
  job: StoredJob,
  id: string,
  device: string,
  target: RelayTarget,
): SourceLock {
  const { netns } = job;
  if (netns !== undefined) return namespaceLockOf(netns, id, target);
  const own = job.ip.map((text) => parseInterfaceAddress(text).address);
  const relay = {
    device,
    ...(target.v4 === undefined ? {} : { v4: target.v4 }),
    ...(target.v6 === undefined ? {} : { v6: target.v6 }),
  };
  const loopback = job.loopback === undefined ? [] : [job.loopback.v4, job.loopback.v6];
  return {
    hold: { id, devices: [device], addresses: own },
    lock: { id, addresses: [...own, ...loopback], relays: [relay] },
  };
}

function namespaceLockOf(netns: string, id: string, { macs = {} }: RelayTarget): SourceLock {
  const wire = readWire(netns);
  const relays = relaysOf(wire, macs);
  const told = relays.map(({ speaker: { device, via }, v4, v6 }) => ({ device, via, v4, v6 }));
  const own = wire.speakers.filter(({ isInherited }) => !isInherited);
  const ownMacs = [...new Set(own.map(({ mac }) => mac))];
  return {
    hold: { id, devices: wire.ends, macs: wire.vias.map(({ mac }) => mac), ownMacs, netns },
    lock: { id, relays: told, netns },
    ...{ wire, relays },
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

/**
 * After the commit: what was held goes on to the target, and so does what still arrives here
 * because some neighbour has not heard the announcement yet.
 */
export async function sendHeldAway(
  { hold, lock, wire, relays = [] }: SourceLock,
  job: StoredJob,
  { work, armed }: { readonly work: string; readonly armed?: ReleaseTools | undefined },
): Promise<void> {
  if (job.netns !== undefined && wire !== undefined) {
    // First, because a device that gets another MAC may tell its neighbours so.
    await leaveLocked(lock, armed?.leave);
    const handed: HandedOver = { vias: wire.vias, relays };
    await writeFile(join(work, handedFile), JSON.stringify(handed), { mode: 0o600 });
    handOver(job.netns, wire, relays);
  }
  await releaseHold(hold, armed?.hold);
}

/** Undoes `sendHeldAway`, before the lock is opened: the job goes on here, maybe much later. */
export async function takeHeldBack(job: StoredJob, work: string): Promise<void> {
  const text = await readIfPresent(join(work, handedFile));
  if (text !== undefined && job.netns !== undefined) takeBack(job.netns, JSON.parse(text));
}

/** In the work directory of the move, which is only ours. */
const handedFile = 'handed-over.json';

/** Tools of `sendHeldAway`, started ahead: what is held waits for them. */
export interface ReleaseTools {
  readonly hold: ArmedTool;
  /** l2: says no more who has the job's addresses. */
  readonly leave?: ArmedTool;
}

export function armRelease({ hold, lock }: SourceLock): ReleaseTools {
  const armed = { hold: armHoldRelease(hold) };
  return lock.netns === undefined ? armed : { ...armed, leave: armLock(lock.netns) };
}
