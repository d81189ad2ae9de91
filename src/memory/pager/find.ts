import { join } from 'node:path';
import { readIfPresent } from '../../host/files.ts';
import { allPids } from '../../host/proc.ts';

/** The pager that still brings memory to the job of a cgroup, whoever began it. */
export async function findPager(cgroup: string): Promise<number | undefined> {
  const last = join(cgroup, 'cgroup.kill');
  for (const pid of await allPids()) {
    const words = (await readIfPresent(`/proc/${pid}/cmdline`))?.split('\0') ?? [];
    if (words.length === 5 && words[0]?.endsWith('/pager') && words[3] === last) return pid;
  }
  return undefined;
}
