import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MigrateError } from '../base/errors.ts';
import type { CriuProcess } from '../criu/process.ts';
import { armRestore, markGo, pidfileOf } from '../criu/restore.ts';
import { killCgroup } from '../host/cgroup.ts';
import { makePrivateDirectory } from '../host/files.ts';
import { readProcess } from '../host/proc.ts';
import { failureLogOf, netnsEtcOf } from '../job/paths.ts';
import type { StoredJob } from '../job/record.ts';
import { makeTreePlace, type TreePlace } from '../job/tree-place.ts';
import type { Established } from './established.ts';

/** A job that is restored, complete and stopped: it has not run an instruction here. */
export interface HeldJob extends Pick<StoredJob, 'initPid' | 'initStartTime' | 'trees'> {
  /** Lets it run; resolves when the last task does. Afterwards there is no way back. */
  resume(): Promise<void>;
}

/** One process tree of a namespace: which PID namespace it shares, and the pids it brings. */
export interface TreeWish {
  readonly group: number;
  readonly pids: readonly number[];
}

export interface HoldWish {
  /** The job's name, which names its log. */
  readonly name: string;
  readonly images: string;
  readonly work: string;
  readonly established: Established;
  readonly rootfs?: string;
  /** A named namespace's, in the order of their images. */
  readonly trees?: readonly TreeWish[] | undefined;
  /** Its memory comes from a pager, which listens in `work`. */
  readonly lazy?: boolean;
}

/** A restore whose programs have started already; the images may still be on their way. */
export interface ArmedRestore {
  /** Restores the job and holds it in CRIU's pre-resume hooks. RESTORE_CRIU_FAILED if it cannot. */
  begin(): Promise<HeldJob>;
  /** Ends it, whatever it has come to. */
  discard(): Promise<void>;
}

/** What fails leaves its processes in the cgroup, for the caller to kill. */
export async function armHeldRestore(wish: HoldWish): Promise<ArmedRestore> {
  const places = await makePlaces(wish);
  const { cgroup } = wish.established;
  const all =
    wish.trees === undefined
      ? [await armOne(wish)]
      : await Promise.all(wish.trees.map((tree, at) => armTree(wish, at, places[tree.group])));
  const discard = async (): Promise<void> => {
    // The hooks' own answer would do the same, but not if a hook is gone.
    for (const criu of all) criu.answer('abort');
    await killCgroup(cgroup);
    await Promise.all(all.map(({ ended }) => ended));
    for (const place of places) place.release();
  };
  return {
    discard,
    async begin() {
      try {
        const tighten = wish.established.easeBinding?.();
        for (const criu of all) criu.answer('start');
        await Promise.all(all.map((criu) => criu.reached('pre-resume'))).finally(tighten);
        return await hold(all, places, wish);
      } catch (error) {
        await discard();
        throw error;
      }
    },
  };
}

/** One for each group of trees; none for a job whose images hold its own PID namespace. */
async function makePlaces({ name, work, established, trees }: HoldWish): Promise<TreePlace[]> {
  const groups = [...new Set((trees ?? []).map(({ group }) => group))].sort((a, b) => a - b);
  if (groups.some((group, at) => group !== at)) {
    throw new MigrateError('PROTOCOL', 'the groups of the process trees are not numbered in order');
  }
  return Promise.all(
    groups.map((group) =>
      makeTreePlace({
        cgroup: established.cgroup,
        netns: established.netns ?? '',
        etc: netnsEtcOf(name),
        work,
        group,
        pids: (trees ?? []).flatMap((tree) => (tree.group === group ? tree.pids : [])),
      }),
    ),
  );
}

function armOne({ name, images, work, established, rootfs, lazy }: HoldWish): Promise<CriuProcess> {
  return armRestore({
    images,
    work,
    cgroup: established.cgroup,
    keepLogAs: failureLogOf(name, 'restore'),
    root: rootfs ?? '/',
    ...(lazy === undefined ? {} : { lazy }),
    ...(established.netns === undefined ? {} : { netns: established.netns }),
  });
}

async function armTree(
  { name, images, work, established }: HoldWish,
  at: number,
  place: TreePlace | undefined,
): Promise<CriuProcess> {
  const part = join(work, `tree-${at}`);
  const own = join(images, String(at));
  await Promise.all([part, own].map(makePrivateDirectory));
  return armRestore({
    images: own,
    work: part,
    marks: work,
    cgroup: established.cgroup,
    keepLogAs: failureLogOf(name, 'restore'),
    root: '/',
    netns: established.netns ?? '',
    enter: { pid: place?.initPid ?? 0, keeper: place?.keeper ?? '' },
  });
}

async function hold(
  all: readonly CriuProcess[],
  places: readonly TreePlace[],
  { work }: HoldWish,
): Promise<HeldJob> {
  const inits = places.map(({ initPid, initStartTime }) => {
    return { pid: initPid, startTime: initStartTime };
  });
  const first = inits[0] ?? (await restoredInit(work));
  return {
    initPid: first.pid,
    initStartTime: first.startTime,
    ...(inits.length === 0 ? {} : { trees: inits }),
    async resume() {
      if (places.length > 0) markGo(work);
      for (const criu of all) criu.answer('go');
      await Promise.all(all.map((criu) => criu.reached('post-resume')));
      // Whoever still restores holds the places open as well, so none can end too early.
      for (const place of places) place.release();
    },
  };
}

async function restoredInit(work: string): Promise<{ pid: number; startTime: number }> {
  const pid = Number(await readFile(pidfileOf(work), 'utf8'));
  const stat = await readProcess(pid);
  if (stat === undefined) throw new MigrateError('RESTORE_FAILED', 'the restored job is not there');
  return { pid, startTime: stat.startTime };
}
