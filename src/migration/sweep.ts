import { join } from 'node:path';
import { removeImagesDirectory } from '../criu/images.ts';
import { restoreLogOf } from '../criu/restore.ts';
import { cgroupPids, findCgroupRoot, killCgroup } from '../host/cgroup.ts';
import { readIfPresent, removeTree } from '../host/files.ts';
import { isLocked, lockJob } from '../job/lock.ts';
import { cgroupParentName, paths } from '../job/paths.ts';
import { readJob } from '../job/registry.ts';
import { parseInterfaceAddress } from '../network/address.ts';
import { presentAddresses } from '../network/l3/identity.ts';
import { removeLock } from '../network/switchover/lock.ts';
import { dismantlePlace } from '../restore/establish.ts';
import { type JournalEntry, readJournals, removeJournal } from './journal.ts';

/**
 * Takes away what agents left on this host that died before the commit of their move: nothing of it
 * has run, and the source runs on. An agent that lives holds the lock of its job. Resolves to the
 * moves that were undone.
 */
export async function sweepDeadAgents(): Promise<JournalEntry[]> {
  const swept: JournalEntry[] = [];
  for (const entry of await readJournals()) {
    if (entry.side !== 'target' || (await isLocked(entry.job))) continue;
    if (!(await neverRan(entry))) continue;
    const unlock = await lockJob(entry.job);
    try {
      await sweep(entry);
      swept.push(entry);
    } finally {
      await unlock();
    }
  }
  return swept;
}

/**
 * Before the commit nothing runs. After it only CRIU's own word counts: its hook had lost the agent,
 * so it killed what it had restored. A log that does not say so leaves the question open.
 */
async function neverRan({ id, job: name, state }: JournalEntry): Promise<boolean> {
  if (state === 'prepared') return true;
  if (state !== 'committed' || (await readJob(name))?.moveId === id) return false;
  const log = await readIfPresent(restoreLogOf(workOf(id)));
  const cgroup = join(await findCgroupRoot(), cgroupParentName, name);
  const tasks = await cgroupPids(cgroup).catch(() => []);
  return tasks.length === 0 && log?.includes('Restoring FAILED') === true;
}

function workOf(id: string): string {
  return join(paths.moves, `${id}.in`);
}

async function sweep({ id, job: name, identity }: JournalEntry): Promise<void> {
  const work = workOf(id);
  if (identity !== undefined) {
    const cgroup = join(await findCgroupRoot(), cgroupParentName, name);
    await killCgroup(cgroup);
    const [present] = await presentAddresses(identity.ip.map(parseInterfaceAddress));
    await dismantlePlace({ ...identity, cgroup, device: present?.device ?? 'lo' });
  }
  await removeLock({ id });
  await removeImagesDirectory(join(work, 'images'));
  await removeTree(work);
  await removeJournal(id, 'target');
}
