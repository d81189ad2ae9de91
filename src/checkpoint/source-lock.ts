import { type ArmedTool, armTool } from '../host/arm.ts';
import type { StoredJob } from '../job/record.ts';
import { parseInterfaceAddress } from '../network/address.ts';
import {
  armHoldRelease,
  type HoldSpec,
  releaseHold,
  removeHold,
} from '../network/switchover/hold.ts';
import { type LockSpec, removeLock } from '../network/switchover/lock.ts';

/** How the target can be reached on the job's network, to send held packets on to it. */
export interface RelayTarget {
  readonly v4?: string | undefined;
  readonly v6?: string | undefined;
}

/** The one lock of a move on the source: packets for the job wait, everything else is dropped. */
export interface SourceLock {
  readonly hold: HoldSpec;
  readonly lock: LockSpec;
  /** l2: the MAC that moves with the job. */
  readonly mac?: string;
}

/** Addresses that stand for "the same MAC, but not here" in an l2 job's old namespace. */
const relayNeighbour = { v4: '169.254.77.1', v6: 'fe80::6d67:1' } as const;

export function sourceLockOf(
  job: StoredJob,
  id: string,
  device: string,
  target: RelayTarget,
  mac?: string,
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
    ...(mac === undefined ? {} : { mac }),
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
 * because some neighbour has not heard the announcement yet. An l2 job's MAC lives on the target
 * now, so its old device gets another one, and a neighbour entry leads to the old.
 */
export async function sendHeldAway(
  { hold, mac }: SourceLock,
  job: StoredJob,
  armed?: ReleaseTools,
): Promise<void> {
  if (job.netns !== undefined && job.hostEnd !== undefined && mac !== undefined) {
    const lines = [
      `link set dev ${hold.device} address ${spareMac(mac)}`,
      // Without a route of its own nft's dup looks for the job's address instead (route.c,
      // rt_set_nexthop), and that question tells the neighbours the wrong MAC.
      `route replace ${relayNeighbour.v4}/32 dev ${hold.device} scope link`,
      `neigh replace ${relayNeighbour.v4} lladdr ${mac} dev ${hold.device}`,
      `neigh replace ${relayNeighbour.v6} lladdr ${mac} dev ${hold.device}`,
    ];
    const { address, bridge } = armed?.moveMac ?? armMoveMac(job.netns);
    await Promise.all([
      address.fire(`${lines.join('\n')}\n`),
      bridge.fire(`fdb del ${mac} dev ${job.hostEnd} master\n`),
    ]);
  }
  await releaseHold(hold, armed?.hold);
}

/** Tools of `sendHeldAway`, started ahead: what is held waits for them. */
export interface ReleaseTools {
  readonly hold: ArmedTool;
  /** l2: give the old device another MAC, and forget on the bridge where the old one was. */
  readonly moveMac?: { readonly address: ArmedTool; readonly bridge: ArmedTool };
}

export function armRelease({ hold, mac }: SourceLock, job: StoredJob): ReleaseTools {
  const { netns } = job;
  const armed = { hold: armHoldRelease(hold) };
  return netns === undefined || mac === undefined
    ? armed
    : { ...armed, moveMac: armMoveMac(netns) };
}

function armMoveMac(netns: string): NonNullable<ReleaseTools['moveMac']> {
  return {
    address: armTool('nsenter', [`--net=${netns}`, 'ip', '-batch', '-']),
    // The bridge may have learned the MAC on another port already.
    bridge: armTool('bridge', ['-batch', '-'], { okCodes: [0, 1, 2, 255] }),
  };
}

/** Another locally administered address: the job's with its last bit turned. */
function spareMac(mac: string): string {
  const last = Number.parseInt(mac.slice(-2), 16) ^ 1;
  return mac.slice(0, -2) + last.toString(16).padStart(2, '0');
}
