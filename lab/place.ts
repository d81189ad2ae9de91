import { chmod, mkdir, rm, statfs } from 'node:fs/promises';
import { pathsOf } from './paths.ts';
import { attempt, run } from './run.ts';

/** The lab's directory: disks of its hosts, keys, `/shared`. */
export async function makePlace(lab: string): Promise<void> {
  const paths = pathsOf(lab);
  // Something may be left of a lab that ended with its machine.
  await removePlace(lab);
  await mkdir(paths.data, { recursive: true });
  // The kernel takes no overlay as the writable layer of another, so in a container it is memory.
  if ((await statfs(paths.data)).type === OVERLAYFS) {
    await run(['mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', paths.data]);
  }
  for (const directory of [paths.keys, paths.shared, paths.bundle]) {
    await mkdir(directory, { recursive: true });
  }
  await chmod(paths.keys, OWNER_ONLY);
  await chmod(paths.shared, WORLD_WRITABLE);
}

export async function removePlace(lab: string): Promise<void> {
  const paths = pathsOf(lab);
  await attempt(['umount', paths.data]);
  await rm(paths.data, { recursive: true, force: true, maxRetries: REMOVE_RETRIES });
}

/** Something that is just dying may still add a file; each try waits a little longer. */
const REMOVE_RETRIES = 10;
const OVERLAYFS = 0x794c7630;
const OWNER_ONLY = 0o700;
const WORLD_WRITABLE = 0o1777;
