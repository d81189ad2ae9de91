import { rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MigrateError } from '../base/errors.ts';
import { removeImagesDirectory } from '../criu/images.ts';
import { criuIsGone } from '../criu/process.ts';
import { restoreNeverRan } from '../criu/restore.ts';
import {
  cgroupPids,
  findCgroupRoot,
  killCgroup,
  removeCgroup,
  removeEmptyCgroup,
} from '../host/cgroup.ts';
import { removeTree } from '../host/files.ts';
import { readProcess } from '../host/proc.ts';
import { tryLockJob } from '../job/lock.ts';
import { cgroupParentName, logPathOf, paths } from '../job/paths.ts';
import { forgetJob, readJob, saveJob } from '../job/registry.ts';
import { findPager, memoryIsWhole, memoryWasLost } from '../memory/pager/find.ts';
import { parseInterfaceAddress } from '../network/address.ts';
import { attachEnds } from '../network/l2/host-ends.ts';
import { presentAddresses } from '../network/l3/identity.ts';
import { removeLock } from '../network/switchover/lock.ts';
import { removeMute } from '../network/switchover/mute.ts';
import { dismantlePlace } from '../restore/establish.ts';
import { madePathOf, takeMadeAway } from '../restore/made.ts';
import {
  type JournalEntry,
  openJournal,
  readJournal,
  readJournals,
  removeJournal,
} from './journal.ts';

export interface Swept extends JournalEntry {
  readonly fate: Fate;
}

/** Its job runs here; never did; or did and was killed, because its memory did not follow it. */
export type Fate = 'ran' | 'never' | 'lost';

/**
 * Ends the moves to this host whose agents died: takes away what never ran, since the source runs
 * on, and keeps what runs, without what only the move needed. An agent that lives holds the lock of
 * its job. A move that cannot be judged yet is left alone.
 */
export async function sweepDeadAgents(): Promise<Swept[]> {
  const swept: Swept[] = [];
  for (const { side, id, job } of await readJournals()) {
    const unlock = side === 'target' ? await tryLockJob(job) : undefined;
    try {
      const entry = unlock === undefined ? undefined : await readJournal(id, 'target');
      if (entry === undefined || isOver(entry)) continue;
      const fate = await fateOf(entry);
      if (fate === undefined) continue;
      await (fate === 'ran' ? adopt(entry) : discard(entry, fate));
      // The source may still ask: that it ran here must be known for as long.
      if (fate === 'lost') await noteLost(entry);
      await clear(entry);
      if (fate === 'never') await removeJournal(id, 'target');
      swept.push({ ...entry, fate });
    } finally {
      await unlock?.();
    }
  }
  return swept;
}

/**
 * PLAN_REFUSED while it is not known what became of a job of that name that was to arrive here; the
 * caller has its lock.
 */
export async function refuseArrival(name: string): Promise<void> {
  const entries = await readJournals();
  const open = entries.find((one) => one.side === 'target' && one.job === name && !isOver(one));
  if (open === undefined) return;
  throw new MigrateError('PLAN_REFUSED', `a move of ${name} to this host was cut off`, {
    hint: `type \`migrate recover ${name}\` on ${open.host}`,
  });
}

function isOver({ state }: JournalEntry): boolean {
  return state === 'running' || state === 'lost';
}

/** undefined: not to be told, or not yet. */
async function fateOf(entry: JournalEntry): Promise<Fate | undefined> {
  const { id, job, record, follows, state } = entry;
  if (await neverRan(entry)) return 'never';
  // A pager that lives still brings the job its memory, or is about to end it.
  if ((await findPager(await cgroupOf(job))) !== undefined) return undefined;
  const memory = join(workOf(id), 'images', 'memory');
  if (await memoryWasLost(memory)) return 'lost';
  // A pager that was killed has made the kernel hand out zeros for what it had not brought.
  if ((await isThere(memory)) && !(await memoryIsWhole(memory)) && state !== 'prepared') {
    return (await criuIsGone(id)) ? 'lost' : undefined;
  }
  const init = record === undefined ? undefined : await readProcess(record.initPid);
  const isAlive = init !== undefined && init.startTime === record?.initStartTime;
  // This host was started anew meanwhile: the job is gone, and so is what the pager had of it.
  if (follows === true && !isAlive && !(await isThere(memory))) return 'lost';
  if ((await readJob(job))?.moveId === id) return 'ran';
  if (record === undefined || !(await criuIsGone(id))) return undefined;
  // It ran, and is no more before anybody has heard of it: whether it had ended, nobody can tell.
  return isAlive ? 'ran' : 'lost';
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** The agent died between the commit and its last step: what it had still to do. */
async function adopt(entry: JournalEntry): Promise<void> {
  const { id, job, record, ends = [] } = entry;
  if (record !== undefined && (await readJob(job))?.moveId !== id) {
    attachEnds(ends);
    if (record.netns !== undefined) await removeMute(record.netns);
    await saveJob(record);
  }
  await note(entry, 'running');
}

async function noteLost(entry: JournalEntry): Promise<void> {
  if ((await readJob(entry.job))?.moveId === entry.id) await forgetJob(entry.job);
  await note(entry, 'lost', entry.identity);
}

/**
 * Before the commit nothing runs. After it only CRIU's hook knows: it had lost the agent, so it
 * killed what it had restored, and left its mark. Without one the question stays open.
 */
async function neverRan({ id, job: name, state }: JournalEntry): Promise<boolean> {
  if (state === 'prepared') return true;
  if (state !== 'committed' || !(await restoreNeverRan(workOf(id)))) return false;
  return (await cgroupPids(await cgroupOf(name)).catch(() => [])).length === 0;
}

function workOf(id: string): string {
  return join(paths.moves, `${id}.in`);
}

async function cgroupOf(job: string): Promise<string> {
  return join(await findCgroupRoot(), cgroupParentName, job);
}

async function note(
  { id, job, host }: JournalEntry,
  lastWord: 'running' | 'lost',
  identity?: JournalEntry['identity'],
): Promise<void> {
  const who = identity === undefined ? {} : { identity };
  const journal = await openJournal({ id, side: 'target', job, host, ...who });
  await journal.write(lastWord);
  await journal.close();
}

async function discard(
  { id, job: name, identity }: JournalEntry,
  fate: 'never' | 'lost',
): Promise<void> {
  const present = await readJob(name);
  // Somebody has started another job of that name since: all that has it is that one's.
  if (identity === undefined || (present !== undefined && present.moveId !== id)) return;
  const cgroup = await cgroupOf(name);
  await killCgroup(cgroup);
  if (identity.kind === 'l2') {
    await takeMadeAway(name, madePathOf(workOf(id)));
    await removeCgroup(cgroup);
    await removeEmptyCgroup(dirname(cgroup));
  } else {
    const [present] = await presentAddresses(identity.ip.map(parseInterfaceAddress));
    await dismantlePlace({ ...identity, cgroup, device: present?.device ?? 'lo' });
  }
  // The source has all the lines of a job that never ran here; the others stay until `forget`.
  if (fate === 'never') await rm(logPathOf(name, identity.rootfs), { force: true });
}

async function clear({ id }: JournalEntry): Promise<void> {
  await removeLock({ id });
  await removeImagesDirectory(join(workOf(id), 'images'));
  await removeTree(workOf(id));
}
