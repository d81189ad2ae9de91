import { mkdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { withLock } from '../lock.ts';
import { DATA_DIR, LOCK_DIR, pathsOf, RUN_DIR } from '../paths.ts';
import { labNames } from '../state.ts';
import { raiseSysctls, restoreSysctls } from './sysctls.ts';

/** The lab counts as there from now on; the first one sets what CRIU needs of the machine. */
export async function enterMachine(lab: string): Promise<void> {
  await withLock(PRESENCE_LOCK, async () => {
    await mkdir(pathsOf(lab).run, { recursive: true });
    await raiseSysctls();
  });
}

/** Forgets the lab; the last one leaves the machine as the first one found it. */
export async function leaveMachine(lab: string): Promise<void> {
  await withLock(PRESENCE_LOCK, async () => {
    await rm(pathsOf(lab).run, { recursive: true, force: true });
    if ((await labNames()).length > 0) return;
    await restoreSysctls();
    await rmdir(RUN_DIR).catch(() => undefined);
    await rmdir(DATA_DIR).catch(() => undefined);
  });
}

/** Labs are locked one by one, but the machine is one for all of them. */
const PRESENCE_LOCK = join(LOCK_DIR, '.machine.lock');
