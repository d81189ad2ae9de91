import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MigrateError } from '../base/errors.ts';
import { systemCalls } from './syscalls.ts';

/** How long a critical section of another process may keep us waiting. */
const lockWaitMsMax = 10_000;
const lockRetryMs = 2;

/**
 * Runs `section` while this process alone holds the lock file at `path` (made if missing, never
 * removed: removing it would let two processes hold two files of one name). The kernel gives the
 * lock back when the process ends, however it ends. Throws BUSY after 10 s. flock(2)
 */
export async function withFileLock<T>(path: string, section: () => Promise<T> | T): Promise<T> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  const fd = openSync(path, 'a', 0o600);
  try {
    const giveUpAt = performance.now() + lockWaitMsMax;
    while (!systemCalls().tryLock(fd)) {
      if (performance.now() > giveUpAt) {
        throw new MigrateError('BUSY', `${path} is locked by another process`);
      }
      await sleep(lockRetryMs);
    }
    return await section();
  } finally {
    closeSync(fd);
  }
}
