import { rm, rmdir } from 'node:fs/promises';
import { backendOf } from '../backend.ts';
import { usage } from '../errors.ts';
import { writeSeeds } from '../host/seed.ts';
import { withLock } from '../lock.ts';
import { removeLabCgroup } from '../machine/cgroups.ts';
import { restoreSysctls } from '../machine/sysctls.ts';
import { type Host, hostNamed, type Lab, withoutHost } from '../model.ts';
import { healAll } from '../network/cut.ts';
import { removeSegment } from '../network/segment.ts';
import { DATA_DIR, pathsOf, RUN_DIR } from '../paths.ts';
import { labNames, readLab, writeLab } from '../state.ts';

/** Takes down the named hosts, or the whole lab, and with its last host the lab itself. */
export async function down(name: string, names: readonly string[]): Promise<void> {
  await withLock(pathsOf(name).lock, async () => {
    const lab = await readLab(name);
    if (lab === undefined) {
      if (names.length > 0) throw usage(`there is no lab ${name}`);
      return;
    }
    const hosts = names.map((host) => hostNamed(lab, host));
    if (hosts.length === 0 || hosts.length === lab.hosts.length) await downLab(lab);
    else await downHosts(lab, hosts);
  });
}

export async function downLab(lab: Lab): Promise<void> {
  const paths = pathsOf(lab.name);
  await Promise.all(lab.hosts.map((host) => backendOf(lab).kill(lab, host)));
  await removeSegment(paths.netns);
  await removeLabCgroup(lab.name);
  await rm(paths.data, { recursive: true, force: true });
  await rm(paths.run, { recursive: true, force: true });
  await rmdir(DATA_DIR).catch(() => undefined);
  if ((await labNames()).length > 0) return;
  await restoreSysctls();
  await rmdir(RUN_DIR).catch(() => undefined);
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
    for (const end of ['', '.pub'])
      await rm(`${paths.keys}/host-${host.name}${end}`, { force: true });
  }
  await writeSeeds(left);
  return left;
}
