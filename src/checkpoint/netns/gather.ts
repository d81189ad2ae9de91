import { dirname, join } from 'node:path';
import { MigrateError } from '../../base/errors.ts';
import type { UndoStack } from '../../base/undo.ts';
import {
  cgroupOf,
  cgroupPids,
  cgroupsBelow,
  findCgroupRoot,
  makeCgroup,
  moveToCgroup,
  removeEmptyCgroup,
} from '../../host/cgroup.ts';
import { isErrno } from '../../host/files.ts';
import { readProcess } from '../../host/proc.ts';
import type { StoredJob } from '../../job/record.ts';
import { forgetJob, saveJob } from '../../job/registry.ts';
import { findStranger } from './members.ts';
import { findTrees } from './survey.ts';
import { called, type JobTree } from './trees.ts';

/** A process that forks while it is gathered leaves children behind, which the next round finds. */
const roundsMax = 20;

/** A tree with all of its processes in a cgroup of its own. */
export interface GatheredTree extends JobTree {
  readonly cgroup: string;
}

type Homes = NonNullable<StoredJob['homes']>;

/**
 * Puts every tree of a namespace into a cgroup of its own below the job's, because CRIU seizes what
 * is in a cgroup (criu/seize.c, seize_cgroup_tree) and each tree has a CRIU of its own. Where the
 * processes came from is on the disk before the first one is moved, so that `recover` can put them
 * back too.
 */
export async function gatherTrees(
  job: StoredJob,
  trees: readonly JobTree[],
  undo: UndoStack,
): Promise<GatheredTree[]> {
  const gathered = trees.map((tree, at) => ({ ...tree, cgroup: join(job.cgroup, String(at)) }));
  const recorded = { ...job, homes: await homesOf(trees) };
  undo.push('cgroups of the trees', () => scatterTrees(recorded));
  await saveJob(recorded);
  for (const { cgroup } of gathered) await makeCgroup(cgroup);
  for (let round = 0; round < roundsMax; round += 1) {
    if (await moveThose(job, gathered)) return gathered;
  }
  throw changed('processes start faster than they could be gathered');
}

/** Moves what is not in its tree's cgroup yet; true when there was nothing to move. */
async function moveThose(job: StoredJob, gathered: readonly GatheredTree[]): Promise<boolean> {
  const { trees } = await findTrees(job.netns ?? '');
  const settled = new Set((await Promise.all(gathered.map(pidsIn))).flat());
  let isDone = true;
  for (const tree of trees) {
    const known = gathered.find(({ pid, startTime }) => {
      return pid === tree.pid && startTime === tree.startTime;
    });
    if (known === undefined) {
      throw changed(`${called(tree)} started in it, beside the other trees`);
    }
    for (const { pid } of tree.members) {
      if (settled.has(pid)) continue;
      isDone = false;
      await moveToCgroup(pid, known.cgroup);
    }
  }
  const missing = gathered.find(({ pid }) => !trees.some((tree) => tree.pid === pid));
  if (missing === undefined) return isDone;
  throw changed(`${called(missing)} has ended`);
}

/**
 * Looks once more at a frozen job: every process of the namespace is in one of the trees, and each
 * tree hangs together. What a CRIU did not see would be left behind.
 */
export async function refuseNewcomers(
  job: StoredJob,
  gathered: readonly GatheredTree[],
): Promise<void> {
  const [inits, ...sorted] = await Promise.all([cgroupPids(job.cgroup), ...gathered.map(pidsIn)]);
  const stranger = await findStranger(job.netns ?? '', new Set([...inits, ...sorted.flat()]));
  if (stranger !== undefined) throw changed(`${called(stranger)} started in it meanwhile`);
  await Promise.all(gathered.map((tree, at) => refuseOrphans(tree, sorted[at] ?? [])));
}

async function refuseOrphans(tree: GatheredTree, pids: readonly number[]): Promise<void> {
  const members = new Set(pids);
  const stats = await Promise.all(pids.map(readProcess));
  for (const stat of stats) {
    if (stat === undefined || stat.pid === tree.pid || members.has(stat.ppid)) continue;
    throw changed(`${called(stat)} has left its parent meanwhile`);
  }
}

/**
 * Puts the processes of a job that does not move after all back into the cgroups they came from,
 * and forgets the job unless a move had brought it. What was born since goes where its tree's first
 * process goes. Harmless when repeated.
 */
export async function scatterTrees(job: StoredJob): Promise<void> {
  const { homes, ...rest } = job;
  if (homes === undefined) return;
  const root = await findCgroupRoot();
  for (const cgroup of await cgroupsBelow(job.cgroup)) {
    for (const pid of await cgroupPids(cgroup)) {
      await goHome(pid, homeOf(pid, cgroup, homes) ?? root, root);
    }
    await removeEmptyCgroup(cgroup);
  }
  if (job.moveId === undefined) await forgetJob(job.name);
  else await saveJob(rest);
  await removeEmptyCgroup(job.cgroup);
  await removeEmptyCgroup(dirname(job.cgroup));
}

function homeOf(pid: number, cgroup: string, homes: Homes): string | undefined {
  const ofTree = homes.filter(({ tree }) => cgroup.endsWith(`/${tree}`));
  return (ofTree.find((home) => home.pid === pid) ?? ofTree[0])?.cgroup;
}

/** A cgroup that was emptied may have been taken away (a login's): the next one above will do. */
async function goHome(pid: number, home: string, root: string): Promise<void> {
  for (let cgroup = home; ; cgroup = dirname(cgroup)) {
    try {
      await moveToCgroup(pid, cgroup);
      return;
    } catch (error) {
      const isGone = isErrno(error, 'ENOENT') || isErrno(error, 'ENODEV');
      if (!isGone || cgroup === root || cgroup === '/') throw error;
    }
  }
}

async function homesOf(trees: readonly JobTree[]): Promise<Homes> {
  const root = await findCgroupRoot();
  const homes = await Promise.all(
    trees.flatMap(({ members }, tree) =>
      members.map(async ({ pid }) => ({ pid, tree, cgroup: await cgroupOf(pid, root) })),
    ),
  );
  return homes.flatMap(({ pid, tree, cgroup }) =>
    cgroup === undefined ? [] : [{ pid, tree, cgroup }],
  );
}

function pidsIn({ cgroup }: GatheredTree): Promise<number[]> {
  return cgroupPids(cgroup);
}

function changed(what: string): MigrateError {
  return new MigrateError('DUMP_FAILED', `the namespace changed during the move: ${what}`, {
    side: 'source',
    hint: 'move it again',
  });
}
