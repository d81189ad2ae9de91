import { asMigrateError } from '../base/errors.ts';
import { endFrozen, type ReadyDump } from '../checkpoint/freeze.ts';
import { lostInClosing } from '../checkpoint/settle.ts';
import { removeSourceLock, sendHeldAway } from '../checkpoint/source-lock.ts';
import { removeImagesDirectory } from '../criu/images.ts';
import { sleepMs } from '../host/clock.ts';
import { removeTree } from '../host/files.ts';
import { removeLog } from '../job/control.ts';
import { forgetJob } from '../job/registry.ts';
import { holdStatistics } from '../network/switchover/hold.ts';
import { dismantlePlace, withdrawAddresses } from '../restore/establish.ts';
import { type Journal, removeJournal } from './journal.ts';
import type { Phases } from './phases.ts';
import type { Target } from './target-link.ts';

/** How long the source still passes packets on, for neighbours that hear of the move late. */
const relayLingerMs = 150;

/**
 * The job runs on the target: what was held follows it, the frozen copy ends, and every trace of it
 * goes. Whatever fails here is a warning, because the move is done.
 */
export async function leaveSource(what: {
  readonly id: string;
  readonly ready: ReadyDump;
  readonly release: Release;
  readonly link: Target;
  readonly phases: Phases;
  readonly journal: Journal | undefined;
}): Promise<{ warnings: string[]; packets: { held: number; dropped: number } }> {
  const { id, ready, release, link, phases, journal } = what;
  const { job, lock } = ready;
  const warnings: string[] = [];
  let packets = { held: 0, dropped: 0 };
  const attempt = async (name: string, work: () => Promise<unknown>): Promise<void> => {
    await work().catch((error: unknown) => {
      warnings.push(`${name}: ${asMigrateError(error).message}`);
    });
  };
  await phases.run('release', () => attempt('release', release.done));
  await phases.run('finish', async () => {
    await attempt('journal', async () => journal?.write('running'));
    await attempt('connections', async () => {
      const lost = lock === undefined ? undefined : lostInClosing(lock.lock);
      if (lost !== undefined) warnings.push(lost);
    });
    await attempt('address', () => withdrawAddresses(job));
    await attempt('frozen copy', () => endFrozen(ready));
    await attempt('target', () => link.finish(id));
    await sleepMs(relayLingerMs);
    if (lock !== undefined) {
      await attempt('held packets', async () => {
        packets = await holdStatistics(lock.hold);
      });
    }
    // A namespace goes with its lock: its kernel would answer what still comes with resets.
    await attempt('place', () => dismantlePlace(job));
    if (lock !== undefined && job.netns === undefined) {
      await attempt('lock', () => removeSourceLock(lock));
    }
    await attempt('images', () => removeImagesDirectory(ready.images));
    await attempt('files', () => removeTree(ready.work));
    await attempt('log', () => removeLog(job));
    await attempt('registry', () => forgetJob(job.name));
    await attempt('journal', () => removeJournal(id, 'source'));
  });
  if (packets.dropped > 0) warnings.push(`${packets.dropped} packets found no room while held`);
  return { warnings, packets };
}

/** What was held follows the job; it may begin while the job's tasks are still being resumed. */
export interface Release {
  /** The target's network is open. Harmless when repeated. */
  readonly begin: () => void;
  /** Begins it unless it has; resolves when all is on its way. */
  readonly done: () => Promise<void>;
}

export function releaseOf({ lock, job, work, armed }: ReadyDump): Release {
  let underWay: Promise<void> | undefined;
  const start = (): Promise<void> => {
    underWay ??=
      lock === undefined
        ? Promise.resolve()
        : sendHeldAway(lock, job, { work, armed: armed?.release });
    return underWay;
  };
  return {
    // Whoever waits for `done` hears of a failure.
    begin: () => void start().catch(() => undefined),
    done: start,
  };
}
