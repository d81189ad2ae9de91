import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { UndoStack } from '../base/undo.ts';
import { startDump } from '../criu/dump.ts';
import { makeImagesDirectory } from '../criu/images.ts';
import type { CriuProcess } from '../criu/process.ts';
import type { ArmedTool } from '../host/arm.ts';
import { freezeCgroup, isFrozen, thawCgroup } from '../host/cgroup.ts';
import { nowMs } from '../host/clock.ts';
import { removeTree } from '../host/files.ts';
import { failureLogOf, paths } from '../job/paths.ts';
import type { StoredJob } from '../job/record.ts';
import { armHold, prepareHold, startHold } from '../network/switchover/hold.ts';
import { addLock, armLock } from '../network/switchover/lock.ts';
import {
  armRelease,
  type ReleaseTools,
  removeSourceLock,
  reopen,
  type SourceLock,
} from './source-lock.ts';

/** Tasks stop within a millisecond or two; one that sleeps in the kernel may take its time. */
const freezeTimeoutMs = 5_000;
const collectTimeoutSeconds = 10;

/** A dump that stands ready in its first hook, and everything of it that costs time. */
export interface ReadyDump {
  readonly job: StoredJob;
  readonly criu: CriuProcess;
  readonly images: string;
  readonly work: string;
  readonly lock: SourceLock | undefined;
  /** Tools of the frozen window, started before it. */
  readonly armed:
    | { readonly hold: ArmedTool; readonly lock: ArmedTool; readonly release: ReleaseTools }
    | undefined;
}

export interface DumpWish {
  readonly id: string;
  readonly job: StoredJob;
  /** Undefined for a checkpoint into a file: nobody else takes the job's packets. */
  readonly lock: SourceLock | undefined;
  readonly recover?: { readonly node: string; readonly program: string; readonly job: string };
}

/** All that need not happen in the frozen window: images in memory, the hold, criu started. */
export async function prepareDump(wish: DumpWish, undo: UndoStack): Promise<ReadyDump> {
  const { id, job, lock } = wish;
  const work = join(paths.moves, id);
  const images = join(work, 'images');
  undo.push('work directory', () => removeTree(work));
  await makeImagesDirectory(images, undo);
  if (lock !== undefined) {
    undo.push('lock', () => removeSourceLock(lock));
    await prepareHold(lock.hold);
  }
  const armed = lock === undefined ? undefined : armTools(lock, job, undo);
  const criu = await startDump({
    pid: job.initPid,
    images,
    work,
    cgroup: job.cgroup,
    keepLogAs: failureLogOf(job.name, 'dump'),
    timeoutSeconds: collectTimeoutSeconds,
    ...(job.netns === undefined ? {} : { netnsInode: (await stat(job.netns)).ino }),
    ...(wish.recover === undefined ? {} : { recover: wish.recover }),
  });
  const ready: ReadyDump = { job, criu, images, work, lock, armed };
  undo.push('freeze', () => revive(ready));
  await criu.reached('pre-dump');
  return ready;
}

function armTools(
  lock: SourceLock,
  job: StoredJob,
  undo: UndoStack,
): NonNullable<ReadyDump['armed']> {
  const release = armRelease(lock, job);
  const armed = { hold: armHold(lock.hold), lock: armLock(lock.lock.netns), release };
  const { hold, moveMac } = release;
  undo.push('armed tools', () => {
    const others = moveMac === undefined ? [] : [moveMac.address, moveMac.bridge];
    for (const tool of [armed.hold, armed.lock, hold, ...others]) tool.cancel();
  });
  return armed;
}

/**
 * First packets wait, then the tasks stop: what they send last still leaves, what comes is kept.
 * Resolves to the instant before the first task stopped, on the monotonic clock.
 */
export async function freeze({ job, lock, armed }: ReadyDump): Promise<number> {
  if (lock !== undefined) await startHold(lock.hold, armed?.hold);
  const frozenAt = nowMs();
  await freezeCgroup(job.cgroup, freezeTimeoutMs);
  return frozenAt;
}

/** From here on nothing leaves, and nothing that slipped past the hold gets in. */
export async function shut({ lock, armed }: ReadyDump): Promise<void> {
  if (lock !== undefined) await addLock(lock.lock, armed?.lock);
}

/** The dump; afterwards the job is stopped, alive, and in the hands of the post-dump hook. */
export async function dump({ criu }: ReadyDump): Promise<void> {
  criu.answer('go');
  await criu.reached('post-dump');
}

/**
 * The job goes on here. CRIU comes first, because it takes the sockets out of repair; then the
 * network opens, the tasks run, and what was held is delivered.
 */
export async function revive(ready: ReadyDump): Promise<void> {
  ready.criu.answer('abort');
  await ready.criu.ended;
  if (ready.lock !== undefined) await reopen(ready.lock);
  await thawCgroup(ready.job.cgroup);
}

/** Ends the frozen copy: it runs elsewhere. */
export async function endFrozen(ready: ReadyDump): Promise<void> {
  ready.criu.answer('kill');
  await ready.criu.ended;
  if (await isFrozen(ready.job.cgroup)) await thawCgroup(ready.job.cgroup);
}
