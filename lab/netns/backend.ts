import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Backend } from '../backend.ts';
import { LabError } from '../errors.ts';
import { asRootAtHome } from '../host/environment.ts';
import { hostCgroup, INIT_LEAF, makeHostCgroup, removeHostCgroup } from '../machine/cgroups.ts';
import { identify, isAlive, killAndWait } from '../machine/process.ts';
import { ensureTools, NETNS_TOOLS } from '../machine/tools.ts';
import type { Host, HostProcess, Lab } from '../model.ts';
import { unplug } from '../network/segment.ts';
import { plugIn } from '../network/veth.ts';
import { pathsOf } from '../paths.ts';
import { ensureRootfs } from '../rootfs/build.ts';
import { enterBySsh } from '../ssh.ts';
import { waitUntil } from '../wait.ts';

/** Hosts made of namespaces on this machine's kernel. */
export const netnsBackend: Backend = {
  async prepare() {
    await ensureTools(NETNS_TOOLS);
    return { rootfs: await ensureRootfs() };
  },

  async boot(lab, host) {
    // A lab command that was killed may have left a host that nobody wrote down.
    await powerOff(lab, host);
    const init = await startInit(lab, host);
    try {
      await plugIn(pathsOf(lab.name).netns, host, init.pid);
      await started(lab, host, init);
      return init;
    } catch (error) {
      await powerOff(lab, { ...host, process: init });
      throw error;
    }
  },

  kill: powerOff,

  async enter(lab, host, command, terminal) {
    // A terminal must be one of the host's own; sshd knows how to make one.
    if (terminal) return enterBySsh(lab, host, command, terminal);
    const pid = String(host.process?.pid);
    const procs = join(await hostCgroup(lab.name, host.name), INIT_LEAF, 'cgroup.procs');
    const namespaces = ['--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup', '--root'];
    // With the entering process the command goes too; a session keeps it apart from our terminal.
    const leash = ['setpriv', '--pdeathsig', 'KILL', 'setsid'];
    const inside = [...leash, ...asRootAtHome(command, false)];
    return ['/bin/sh', ENTER, procs, 'nsenter', '--target', pid, ...namespaces, '--', ...inside];
  },
};

const BOOT = join(import.meta.dirname, 'boot.sh');
const ENTER = join(import.meta.dirname, 'enter.sh');
const READY_FILE = 'run/lab-ready';
const START_LIMIT = { forMs: 30_000, everyMs: 10 };
const LOG_LINES = 5;

async function startInit(lab: Lab, host: Host): Promise<HostProcess> {
  const paths = pathsOf(lab.name);
  const directory = paths.host(host.name);
  for (const part of ['upper', 'work', 'root']) {
    await mkdir(join(directory, part), { recursive: true });
  }
  const pidFile = join(paths.run, `${host.name}.pid`);
  await rm(pidFile, { force: true });
  const cgroup = await makeHostCgroup(lab.name, host.name);
  const words = [cgroup, pidFile, lab.ground.rootfs, directory, paths.shared, paths.bundle];
  // Without pipes to this process, for they would stay open as long as the host lives.
  const result = await execa('/bin/sh', [BOOT, 'join', ...words], {
    detached: true,
    cleanup: false,
    reject: false,
    stdio: 'ignore',
  });
  if (result.failed) throw await bootError(lab, host, 'could not make its namespaces');
  await waitUntil(() => isThere(pidFile), START_LIMIT);
  const pid = Number(await readFile(pidFile, 'utf8').catch(() => ''));
  const init = pid > 0 ? await identify(pid) : undefined;
  if (init === undefined) throw await bootError(lab, host, 'did not start');
  return init;
}

async function started(lab: Lab, host: Host, init: HostProcess): Promise<void> {
  const ready = join('/proc', String(init.pid), 'root', READY_FILE);
  let alive = true;
  await waitUntil(async () => {
    alive = await isAlive(init);
    return !alive || (await isThere(ready));
  }, START_LIMIT);
  if (alive && (await isThere(ready))) return;
  throw await bootError(lab, host, alive ? 'did not get ready' : 'died while starting');
}

async function powerOff(lab: Lab, host: Host): Promise<void> {
  // First the cards: a dying process must not be able to close its connections politely.
  await unplug(pathsOf(lab.name).netns, host);
  if (host.process !== undefined && !(await killAndWait(host.process))) {
    throw new LabError(`${host.name} does not die`);
  }
  await removeHostCgroup(lab.name, host.name);
  await rm(join(pathsOf(lab.name).run, `${host.name}.pid`), { force: true });
}

async function bootError(lab: Lab, host: Host, what: string): Promise<LabError> {
  const directory = pathsOf(lab.name).host(host.name);
  const logs = [join(directory, 'boot.log'), join(directory, 'upper/var/log/lab-start.log')];
  const texts = await Promise.all(logs.map((log) => readFile(log, 'utf8').catch(() => '')));
  const tail = texts.join('').trim().split('\n').slice(-LOG_LINES).join(' / ');
  return new LabError(`${host.name} ${what}: ${tail || 'it left no word'}`);
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
