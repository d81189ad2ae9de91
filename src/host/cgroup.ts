import { writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
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

/** Removes a cgroup and those below it once the last task is gone; what is not there is fine. */
export async function removeCgroup(path: string): Promise<void> {
  let last: unknown;
  const gone = await poll(
    async () => {
      try {
        for (const child of await cgroupsBelow(path)) await rmdir(child);
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

/** Puts a process into a cgroup; false when it has ended. Throws what else the kernel says. */
export async function moveToCgroup(pid: number, path: string): Promise<boolean> {
  try {
    await writeFile(join(path, 'cgroup.procs'), String(pid));
    return true;
  } catch (error) {
    if (isErrno(error, 'ESRCH')) return false;
    throw error;
  }
}

/** The directory of the cgroup v2 that a process is in (cgroups(7)); undefined when it is gone. */
export async function cgroupOf(pid: number, root: string): Promise<string | undefined> {
  const lines = (await readIfPresent(`/proc/${pid}/cgroup`))?.split('\n') ?? [];
  const line = lines.find((one) => one.startsWith('0::'));
  return line === undefined ? undefined : join(root, line.slice('0::'.length));
}

/**
 * Stops every task of these cgroups and waits until the kernel says so; FREEZE_TIMEOUT if not. All
 * are told before one is waited for, without leaving the thread: no task sees another one gone.
 */
export async function freezeCgroups(paths: readonly string[], timeoutMs: number): Promise<void> {
  for (const path of paths) writeFileSync(join(path, 'cgroup.freeze'), '1');
  const areFrozen = async () => (await Promise.all(paths.map(isFrozenItself))).every(Boolean);
  if (await poll(areFrozen, timeoutMs, pollStepMs)) return;
  await Promise.all(paths.map(thawCgroup));
  throw new MigrateError('FREEZE_TIMEOUT', `tasks still ran ${timeoutMs} ms after the freeze`, {
    side: 'source',
    hint: 'a task in uninterruptible sleep (state D), often on a dead NFS server, cannot be frozen',
  });
}

/** Whether a cgroup, or one directly below it, is frozen. */
export async function isFrozen(path: string): Promise<boolean> {
  if (await isFrozenItself(path)) return true;
  const children = await Promise.all((await cgroupsBelow(path)).map(isFrozenItself));
  return children.some(Boolean);
}

/** Whether a cgroup itself is frozen. */
export async function isFrozenItself(path: string): Promise<boolean> {
  return /^frozen 1$/m.test((await readIfPresent(join(path, 'cgroup.events'))) ?? '');
}

/** Lets a frozen cgroup and those directly below it run; what is gone or runs is fine. */
export async function thawCgroup(path: string): Promise<void> {
  for (const frozen of [path, ...(await cgroupsBelow(path))]) {
    await writeFile(join(frozen, 'cgroup.freeze'), '0').catch((error: unknown) => {
      if (!isErrno(error, 'ENOENT') && !isErrno(error, 'ENODEV')) throw error;
    });
  }
}

/** The cgroups directly below one: those of a job's process trees while it moves. */
export async function cgroupsBelow(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(path, name));
}

/**
 * Kills every task at once, also those in cgroups below. The freeze comes first so that none of
 * them runs user code between the death of its tracer and its own (cgroup.kill: kernel
 * Documentation/admin-guide/cgroup-v2).
 */
export async function killCgroup(path: string): Promise<void> {
  if ((await readIfPresent(join(path, 'cgroup.procs'))) === undefined) return;
  await writeFile(join(path, 'cgroup.freeze'), '1');
  await writeFile(join(path, 'cgroup.kill'), '1');
  const isEmpty = async () =>
    !/^populated 1$/m.test((await readIfPresent(join(path, 'cgroup.events'))) ?? '');
  await poll(isEmpty, emptyTimeoutMs, pollStepMs);
}
