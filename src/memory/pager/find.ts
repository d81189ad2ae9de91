import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readIfPresent } from '../../host/files.ts';
import { allPids } from '../../host/proc.ts';

/** The pager that still brings memory to the job of a cgroup, whoever began it. */
export async function findPager(cgroup: string): Promise<number | undefined> {
  const last = join(cgroup, 'cgroup.kill');
  for (const pid of await allPids()) {
    const words = (await readIfPresent(`/proc/${pid}/cmdline`))?.split('\0') ?? [];
    if (words.length !== 5 || !words[0]?.endsWith('/pager') || words[3] !== last) continue;
    if (await isOfRoot(pid)) return pid;
  }
  return undefined;
}

/** Anybody can call a program so. */
async function isOfRoot(pid: number): Promise<boolean> {
  return stat(`/proc/${pid}`).then(
    ({ uid }) => uid === 0,
    () => false,
  );
}

/** Whether its pager has brought the job everything. */
export async function memoryIsWhole(memory: string): Promise<boolean> {
  return (await readIfPresent(join(memory, wholeMark))) !== undefined;
}

/** Whether the job whose page store is in a directory was killed because a page could not come. */
export async function memoryWasLost(memory: string): Promise<boolean> {
  return (await readIfPresent(join(memory, lostMark))) !== undefined;
}

/** Leaves the mark that the pager leaves. */
export async function markLost(memory: string): Promise<void> {
  await writeFile(join(memory, lostMark), '', { mode: 0o600 });
}

/** As in kernel.h, give_up, and in pager.c, work. */
const lostMark = 'lost';
const wholeMark = 'whole';
