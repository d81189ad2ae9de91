import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { execa } from 'execa';
import { LabError } from './errors.ts';

/**
 * Holds a lock file while `work` runs. The kernel keeps the lock for a child that lives as long as
 * its standard input is open, so a lab command that dies in any way gives the lock back.
 */
export async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  const args = ['--wait', String(LOCK_TIMEOUT_S), path, 'sh', '-c', 'echo held; exec cat'];
  const holder = execa('flock', args, { stdin: 'pipe', reject: false });
  try {
    const heard = await Promise.race([once(holder.stdout, 'data'), holder]);
    if (!Array.isArray(heard)) {
      throw new LabError(`another lab command has held ${path} for ${LOCK_TIMEOUT_S} s`);
    }
    return await work();
  } finally {
    holder.stdin.end();
    await holder;
  }
}

/** Longer than the slowest thing done under a lock: the first build of the root file system. */
const LOCK_TIMEOUT_S = 900;
