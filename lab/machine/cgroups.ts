import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LabError } from '../errors.ts';
import { waitUntil } from '../wait.ts';

/** Makes a host's subtree with a leaf for its own processes, and hands it every controller. */
export async function makeHostCgroup(lab: string, host: string): Promise<string> {
  const root = await cgroup2Mount();
  const path = await hostCgroup(lab, host);
  await mkdir(join(path, INIT_LEAF), { recursive: true });
  for (const parent of [root, join(root, TOP), dirname(path)]) await passControllersDown(parent);
  return path;
}

export async function hostCgroup(lab: string, host: string): Promise<string> {
  return join(await cgroup2Mount(), TOP, lab, host);
}

/** Kills whatever is left in a host's subtree and removes the subtree. */
export async function removeHostCgroup(lab: string, host: string): Promise<void> {
  const path = await hostCgroup(lab, host);
  await writeFile(join(path, 'cgroup.kill'), '1').catch(() => undefined);
  const gone = await waitUntil(() => removeTree(path), { forMs: REMOVE_LIMIT_MS, everyMs: 10 });
  if (!gone) throw new LabError(`${path} still holds processes`);
}

/** Removes the lab's own level, and the one of all labs when this was the last. */
export async function removeLabCgroup(lab: string): Promise<void> {
  const top = join(await cgroup2Mount(), TOP);
  await rmdir(join(top, lab)).catch(() => undefined);
  await rmdir(top).catch(() => undefined);
}

/** A hybrid machine mounts cgroup v2 beside the old hierarchies, so the place is looked up. */
async function cgroup2Mount(): Promise<string> {
  const mounts = await readFile('/proc/mounts', 'utf8');
  for (const line of mounts.split('\n')) {
    const [, path, type] = line.split(' ');
    if (type === 'cgroup2' && path !== undefined) return path;
  }
  throw new LabError('this machine has no cgroup2 mount');
}

/** Processes stay out of inner nodes, or the kernel would not let controllers be passed down. */
export const INIT_LEAF = 'init';

const TOP = 'migrate-lab';
const REMOVE_LIMIT_MS = 10_000;

/** Controllers that a version 1 hierarchy holds, or that refuse, are no loss to a lab. */
async function passControllersDown(path: string): Promise<void> {
  const names = await readFile(join(path, 'cgroup.controllers'), 'utf8').catch(() => '');
  for (const name of names.split(/\s+/).filter(Boolean)) {
    await writeFile(join(path, 'cgroup.subtree_control'), `+${name}`).catch(() => undefined);
  }
}

async function removeTree(path: string): Promise<boolean> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return true;
  for (const entry of entries) {
    if (entry.isDirectory()) await removeTree(join(path, entry.name));
  }
  return rmdir(path).then(
    () => true,
    () => false,
  );
}
