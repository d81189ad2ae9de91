import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MigrateError } from '../base/errors.ts';
import { poll } from './clock.ts';
import { isErrno, readIfPresent } from './files.ts';

/** A cgroup that empties needs some milliseconds until its last task is reaped. */
const emptyTimeoutMs = 5_000;
const pollStepMs = 1;

/** Where cgroup v2 is mounted; on hybrid systems that is not /sys/fs/cgroup (cgroups(7)). */
export async function findCgroupRoot(): Promise<string> {
  const mounts = await readFile('/proc/mounts', 'utf8');
  for (const line of mounts.split('\n')) {
    const [, path, type] = line.split(' ');
    if (type === 'cgroup2' && path !== undefined) return path;
  }
  throw new MigrateError('KERNEL', 'no cgroup v2 hierarchy is mounted', {
    hint: 'mount -t cgroup2 none /sys/fs/cgroup',
  });
}

export async function makeCgroup(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
}

/** Removes a cgroup once its last task is gone; one that is not there is fine. */
export async function removeCgroup(path: string): Promise<void> {
  let last: unknown;
  const gone = await poll(
    async () => {
      try {
        await rmdir(path);
        return true;
      } catch (error) {
        if (isErrno(error, 'ENOENT')) return true;
        last = error;
        return false;
      }
    },
    emptyTimeoutMs,
    pollStepMs,
  );
  if (!gone) throw new MigrateError('KERNEL', `cgroup ${path} does not empty`, { cause: last });
}

/** Removes a cgroup unless somebody is in it or below it, which the kernel answers with EBUSY. */
export async function removeEmptyCgroup(path: string): Promise<void> {
  await rmdir(path).catch((error: unknown) => {
    if (!isErrno(error, 'ENOENT') && !isErrno(error, 'EBUSY')) throw error;
  });
}

export async function cgroupPids(path: string): Promise<number[]> {
  const text = await readIfPresent(join(path, 'cgroup.procs'));
  return (text ?? '').split('\n').filter(Boolean).map(Number);
}

/** Stops every task of the cgroup and waits until the kernel says so; FREEZE_TIMEOUT if not. */
export async function freezeCgroup(path: string, timeoutMs: number): Promise<void> {
  await writeFile(join(path, 'cgroup.freeze'), '1');
  if (await poll(() => isFrozen(path), timeoutMs, pollStepMs)) return;
  await thawCgroup(path);
  throw new MigrateError('FREEZE_TIMEOUT', `tasks still ran ${timeoutMs} ms after the freeze`, {
    side: 'source',
    hint: 'a task in uninterruptible sleep (state D), often on a dead NFS server, cannot be frozen',
  });
}

export async function isFrozen(path: string): Promise<boolean> {
  return /^frozen 1$/m.test((await readIfPresent(join(path, 'cgroup.events'))) ?? '');
}

/** Lets a frozen cgroup run again; one that is gone or runs already is fine. */
export async function thawCgroup(path: string): Promise<void> {
  await writeFile(join(path, 'cgroup.freeze'), '0').catch((error: unknown) => {
    if (!isErrno(error, 'ENOENT') && !isErrno(error, 'ENODEV')) throw error;
  });
}

/**
 * Kills every task at once. The freeze comes first so that none of them runs user code between
 * the death of its tracer and its own (cgroup.kill: kernel Documentation/admin-guide/cgroup-v2).
 */
export async function killCgroup(path: string): Promise<void> {
  if ((await readIfPresent(join(path, 'cgroup.procs'))) === undefined) return;
  await writeFile(join(path, 'cgroup.freeze'), '1');
  await writeFile(join(path, 'cgroup.kill'), '1');
  await poll(async () => (await cgroupPids(path)).length === 0, emptyTimeoutMs, pollStepMs);
}
