import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { UndoStack } from '../base/undo.ts';
import { startDump } from '../criu/dump.ts';
import { makeImagesDirectory } from '../criu/images.ts';
import type { CriuProcess } from '../criu/process.ts';
import type { ArmedTool } from '../host/arm.ts';
import { freezeCgroups, isFrozen, killCgroup, thawCgroup } from '../host/cgroup.ts';
import { nowMs } from '../host/clock.ts';
import { makePrivateDirectory, removeTree } from '../host/files.ts';
import { failureLogOf, paths } from '../job/paths.ts';
import type { StoredJob } from '../job/record.ts';
import type { AddressSettings } from '../network/l3/settings.ts';
import { closingRuleset } from '../network/switchover/closing.ts';
import {
  armHold,
  holdOpening,
  holdRuleset,
  prepareHold,
  startHold,
} from '../network/switchover/hold.ts';
import { addLock, armLock } from '../network/switchover/lock.ts';
import { type GatheredTree, gatherTrees, refuseNewcomers } from './netns/gather.ts';
import type { JobTree } from './netns/trees.ts';
import { settle } from './settle.ts';
import { readPassing } from './sockets/passing.ts';
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

/** One process tree of a job, its CRIU ready, with the cgroup that holds it and nothing else. */
export interface ReadyTree {
  readonly criu: CriuProcess;
  readonly images: string;
  readonly cgroup: string;
  /** A named namespace's: what its survey knows of it. */
  readonly gathered?: GatheredTree;
}

/** A dump that stands ready in its first hook, and everything of it that costs time. */
export interface ReadyDump {
  readonly job: StoredJob;
  /** One for each CRIU: a job has one, a named namespace as many as there are trees in it. */
  readonly trees: readonly ReadyTree[];
  /** The memory file system that all images are on. */
  readonly images: string;
  readonly work: string;
  readonly lock: SourceLock | undefined;
  /** l3: what its addresses have here besides themselves. */
  readonly addresses: readonly AddressSettings[] | undefined;
  /** Tools of the frozen window, started before it. */
  readonly armed:
    | {
        readonly opening: ArmedTool;
        readonly hold: ArmedTool;
        readonly lock: ArmedTool;
        readonly release: ReleaseTools;
      }
    | undefined;
}

export interface DumpWish {
  readonly id: string;
  readonly job: StoredJob;
  /** Undefined for a checkpoint into a file: nobody else takes the job's packets. */
  readonly lock: SourceLock | undefined;
  readonly addresses: readonly AddressSettings[] | undefined;
  readonly recover?: { readonly node: string; readonly program: string; readonly job: string };
  /** A named namespace's trees, from its survey. */
  readonly trees?: readonly JobTree[] | undefined;
  /** Memory travels beside the images, which only list it: see memory.ts. */
  readonly lazy?: boolean;
}

/** All that need not happen in the frozen window: images in memory, the hold, criu started. */
export async function prepareDump(wish: DumpWish, undo: UndoStack): Promise<ReadyDump> {
  const { id, job, lock, addresses } = wish;
  const work = join(paths.moves, id);
  const images = join(work, 'images');
  undo.push('work directory', () => removeTree(work));
  await makeImagesDirectory(images, undo);
  if (lock !== undefined) {
    undo.push('lock', () => removeSourceLock(lock));
    await prepareHold(lock.hold);
  }
  const armed = lock === undefined ? undefined : armTools(lock, undo);
  const trees: ReadyTree[] = [];
  const ready: ReadyDump = { job, trees, images, work, lock, addresses, armed };
  const gathered = wish.trees === undefined ? undefined : await gatherTrees(job, wish.trees, undo);
  undo.push('freeze', () => revive(ready));
  for (const tree of gathered ?? [undefined]) trees.push(await startTree(wish, ready, tree));
  await Promise.all(trees.map(({ criu }) => criu.reached('pre-dump')));
  return ready;
}

/** The CRIU of a namespace's tree works from within the tree's mount and PID namespaces. */
async function startTree(
  { job, recover, lazy }: DumpWish,
  ready: ReadyDump,
  gathered: GatheredTree | undefined,
): Promise<ReadyTree> {
  const part = gathered === undefined ? '' : String(ready.trees.length);
  const images = join(ready.images, part);
  const work = join(ready.work, part === '' ? '' : `tree-${part}`);
  const cgroup = gathered?.cgroup ?? job.cgroup;
  if (gathered !== undefined) await Promise.all([images, work].map(makePrivateDirectory));
  const criu = await startDump({
    pid: gathered?.nsPid ?? job.initPid,
    images,
    work,
    cgroup,
    keepLogAs: failureLogOf(job.name, 'dump'),
    timeoutSeconds: collectTimeoutSeconds,
    ...(gathered === undefined ? {} : { enter: gathered.pid }),
    ...(job.netns === undefined ? {} : { netnsInode: (await stat(job.netns)).ino }),
    ...(recover === undefined ? {} : { recover }),
    ...(lazy === undefined ? {} : { lazy }),
  });
  return { criu, images, cgroup, ...(gathered === undefined ? {} : { gathered }) };
}

function armTools(lock: SourceLock, undo: UndoStack): NonNullable<ReadyDump['armed']> {
  const release = armRelease(lock);
  const armed = {
    ...{ opening: armHold(lock.hold), hold: armHold(lock.hold) },
    ...{ lock: armLock(lock.lock.netns), release },
  };
  undo.push('armed tools', () => {
    const { opening, hold } = armed;
    for (const tool of [opening, hold, armed.lock, release.hold, release.leave]) tool?.cancel();
  });
  return armed;
}

/**
 * First new connections wait, then what belongs to none, then the tasks stop: what they send last
 * still leaves, what comes is kept. Resolves to the instant before the first task stopped, on the
 * monotonic clock.
 */
export async function freeze({ trees, lock, armed }: ReadyDump): Promise<number> {
  if (lock !== undefined) {
    await holdOpening(lock.hold, armed?.opening);
    await settle(lock.lock);
    await startHold(lock.hold, armed?.hold);
  }
  const frozenAt = nowMs();
  await freezeCgroups(
    trees.map(({ cgroup }) => cgroup),
    freezeTimeoutMs,
  );
  return frozenAt;
}

/**
 * From here on nothing leaves, and nothing that slipped past the hold gets in; but connections that
 * the job has closed go on to their end.
 */
export async function shut({ lock, armed }: ReadyDump): Promise<void> {
  if (lock === undefined) return;
  const { closing } = readPassing(lock.lock);
  const besides = holdRuleset(lock.hold) + closingRuleset(lock, closing);
  await addLock(lock.lock, armed?.lock, besides);
}

/** The dump; afterwards the job is stopped, alive, and in the hands of the post-dump hooks. */
export async function dump({ job, trees }: ReadyDump): Promise<void> {
  for (const { criu } of trees) criu.answer('go');
  const gathered = trees.map((tree) => tree.gathered).filter((tree) => tree !== undefined);
  await Promise.all([
    ...trees.map(({ criu }) => criu.reached('post-dump')),
    ...(gathered.length === 0 ? [] : [refuseNewcomers(job, gathered)]),
  ]);
}

/**
 * The job goes on here. CRIU comes first, because it takes the sockets out of repair; then the
 * network opens, the tasks run, and what was held is delivered.
 */
export async function revive(ready: ReadyDump): Promise<void> {
  await answerAll(ready, 'abort');
  if (ready.lock !== undefined) await reopen(ready.lock);
  await thawCgroup(ready.job.cgroup);
}

/**
 * Ends the frozen copy: it runs elsewhere. We kill it before CRIU is told to, because a CRIU that
 * fails in between would let it run.
 */
export async function endFrozen(ready: ReadyDump): Promise<void> {
  await killCgroup(ready.job.cgroup);
  await answerAll(ready, 'kill');
  if (await isFrozen(ready.job.cgroup)) await thawCgroup(ready.job.cgroup);
}

async function answerAll({ trees }: ReadyDump, word: 'abort' | 'kill'): Promise<void> {
  for (const { criu } of trees) criu.answer(word);
  await Promise.all(trees.map(({ criu }) => criu.ended));
}
