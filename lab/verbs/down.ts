import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { backendOf } from '../backends.ts';
import { writeSeeds } from '../host/seed.ts';
import { withLock } from '../lock.ts';
import { removeLabCgroup } from '../machine/cgroups.ts';
import { leaveMachine } from '../machine/presence.ts';
import { emptyLab, type Host, hostNamed, type Lab, withoutHost } from '../model.ts';
import { healAll } from '../network/cut.ts';
import { removeSegment } from '../network/segment.ts';
import { pathsOf } from '../paths.ts';
import { removePlace } from '../place.ts';
import { readLab, writeLab } from '../state.ts';

/** Takes down the named hosts, or the whole lab, and with its last host the lab itself. */
export async function down(name: string, names: readonly string[]): Promise<void> {
  await withLock(pathsOf(name).lock, async () => {
    const lab = (await readLab(name)) ?? emptyLab(name);
    const hosts = names.map((host) => hostNamed(lab, host));
    // With no lab of this name written down there may still be the first steps of one.
    if (hosts.length === 0 || hosts.length === lab.hosts.length) await downLab(lab);
    else await downHosts(lab, hosts);
  });
}

export async function downLab(lab: Lab): Promise<void> {
  const paths = pathsOf(lab.name);
  await Promise.all(lab.hosts.map((host) => backendOf(lab).kill(lab, host)));
  await removeSegment(paths.netns);
  await removeLabCgroup(lab.name);
  await removePlace(lab.name);
  await leaveMachine(lab.name);
}

/** The lab goes on without these hosts: their disks, keys and addresses are gone for good. */
export async function downHosts(lab: Lab, hosts: readonly Host[]): Promise<Lab> {
  let left = lab;
  for (const host of hosts) {
    await backendOf(lab).kill(lab, host);
    await healAll(lab, host);
    left = withoutHost(left, host.name);
    await writeLab(left);
    const paths = pathsOf(lab.name);
    await rm(paths.host(host.name), { recursive: true, force: true });
    const key = join(paths.keys, `host-${host.name}`);
    for (const file of [key, `${key}.pub`]) await rm(file, { force: true });
  }
  await writeSeeds(left);
  return left;
}
