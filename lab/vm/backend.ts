import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Backend } from '../backend.ts';
import { LabError } from '../errors.ts';
import { seedOf } from '../host/seed.ts';
import { hostCgroup, INIT_LEAF, makeHostCgroup, removeHostCgroup } from '../machine/cgroups.ts';
import { identify, isAlive, killAndWait } from '../machine/process.ts';
import { ensureTools, NETNS_TOOLS, VM_TOOLS } from '../machine/tools.ts';
import { type Host, type HostProcess, type Lab, mac } from '../model.ts';
import { inSegment, portsOf, unplug } from '../network/segment.ts';
import { makeTaps } from '../network/tap.ts';
import { pathsOf } from '../paths.ts';
import { ensureRootfs } from '../rootfs/build.ts';
import { run } from '../run.ts';
import { answersSsh, controlSocket, enterBySsh } from '../ssh.ts';
import { waitUntil } from '../wait.ts';
import { ensureGuestGround } from './ground.ts';
import { findAccelerator } from './probe.ts';
import { qemuWords } from './qemu.ts';
import { setClock, startMaster } from './session.ts';

/** Hosts that are QEMU guests running Debian's kernel, in software where KVM does not work. */
export const vmBackend: Backend = {
  async prepare() {
    await ensureTools([...NETNS_TOOLS, ...VM_TOOLS]);
    const rootfs = await ensureRootfs();
    const ground = await ensureGuestGround(rootfs);
    return { rootfs, guest: { ...ground, accel: await findAccelerator(ground) } };
  },

  async boot(lab, host) {
    for (let left = BOOTS_MAX - 1; left > 0; left -= 1) {
      try {
        return await bootOnce(lab, host);
      } catch (error) {
        if (!(error instanceof LabError && error.message.includes(DIED))) throw error;
      }
    }
    return bootOnce(lab, host);
  },

  kill: powerOff,

  async enter(lab, host, command, terminal) {
    return [...(await inHostCgroup(lab, host)), ...enterBySsh(lab, host, command, terminal)];
  },
};

async function bootOnce(lab: Lab, host: Host): Promise<HostProcess> {
  // A lab command that was killed may have left a guest that nobody wrote down.
  await powerOff(lab, host);
  try {
    const qemu = await startQemu(lab, host);
    await started(lab, host, qemu);
    await answersSsh(lab, host);
    const wrap = await inHostCgroup(lab, host);
    await startMaster(lab, host, wrap);
    await setClock(lab, host, wrap);
    return qemu;
  } catch (error) {
    await powerOff(lab, host);
    throw error;
  }
}

const ENTER = join(import.meta.dirname, '../netns/enter.sh');
const MEMORY_MIB = 1024;
/** What runs in an emulated guest has deadlines of its own; other work of the machine has time. */
const AHEAD = ['nice', '-n', '-5'] as const;
const READY_WORD = 'lab: ready';
/** An emulated kernel panicked in its first seconds in two of about sixty boots. */
const BOOTS_MAX = 3;
const DIED = 'died while starting';
/** Three guests on two emulated processors take about a minute; a busy machine takes longer. */
const START_LIMIT = { forMs: 300_000, everyMs: 100 };
const LOG_LINES = 5;

async function startQemu(lab: Lab, host: Host): Promise<HostProcess> {
  const { guest } = lab.ground;
  if (guest === undefined) throw new LabError(`lab ${lab.name} has no guests' kernel and disk`);
  const paths = pathsOf(lab.name);
  const directory = paths.host(host.name);
  await mkdir(directory, { recursive: true });
  const disk = await ensureDisk(directory, guest.image);
  await makeHostCgroup(lab.name, host.name);
  await makeTaps(paths.netns, host);
  const pidFile = pidFileOf(lab, host);
  const [port0, port1] = portsOf(host.number);
  const words = qemuWords({
    name: `${lab.name}-${host.name}`,
    ground: guest,
    memoryMiB: MEMORY_MIB,
    disk,
    consoleLog: consoleLogOf(lab, host),
    pidFile,
    cards: [
      { port: port0, mac: mac(host.number, 0) },
      { port: port1, mac: mac(host.number, 1) },
    ],
    directories: [
      { tag: 'seed', path: seedOf(lab.name, host.name), writable: false },
      { tag: 'shared', path: paths.shared, writable: true },
      { tag: 'bundle', path: paths.bundle, writable: false },
    ],
  });
  const wrap = [...(await inHostCgroup(lab, host)), ...AHEAD] as const;
  await run([...wrap, ...inSegment(paths.netns, words)]);
  const qemu = await identify(Number(await readFile(pidFile, 'utf8')));
  if (qemu === undefined) throw await bootError(lab, host, 'ended at once');
  return qemu;
}

/** The writable layer of a guest: only what differs from the common image takes room. */
async function ensureDisk(directory: string, image: string): Promise<string> {
  const disk = join(directory, 'disk.qcow2');
  const there = await readFile(disk, { flag: 'r' }).then(
    () => true,
    () => false,
  );
  const backing = ['-f', 'qcow2', '-F', 'raw', '-b', image];
  if (!there) await run(['qemu-img', 'create', '-q', ...backing, disk]);
  return disk;
}

async function started(lab: Lab, host: Host, qemu: HostProcess): Promise<void> {
  let alive = true;
  const ready = await waitUntil(async () => {
    alive = await isAlive(qemu);
    return !alive || (await consoleText(lab, host)).includes(READY_WORD);
  }, START_LIMIT);
  if (alive && ready) return;
  throw await bootError(lab, host, alive ? 'did not get ready' : DIED);
}

async function powerOff(lab: Lab, host: Host): Promise<void> {
  await unplug(pathsOf(lab.name).netns, host);
  if (host.process !== undefined && !(await killAndWait(host.process))) {
    throw new LabError(`${host.name} does not die`);
  }
  await removeHostCgroup(lab.name, host.name);
  await rm(pidFileOf(lab, host), { force: true });
  await rm(controlSocket(lab.name, host.name), { force: true });
}

async function inHostCgroup(lab: Lab, host: Host): Promise<['/bin/sh', ...string[]]> {
  const procs = join(await hostCgroup(lab.name, host.name), INIT_LEAF, 'cgroup.procs');
  return ['/bin/sh', ENTER, procs];
}

async function bootError(lab: Lab, host: Host, what: string): Promise<LabError> {
  const tail = (await consoleText(lab, host)).trim().split(/\r?\n/).slice(-LOG_LINES).join(' / ');
  return new LabError(`${host.name} ${what}: ${tail || 'its console is empty'}`);
}

async function consoleText(lab: Lab, host: Host): Promise<string> {
  return readFile(consoleLogOf(lab, host), 'utf8').catch(() => '');
}

function consoleLogOf(lab: Lab, host: Host): string {
  return join(pathsOf(lab.name).host(host.name), 'console.log');
}

function pidFileOf(lab: Lab, host: Host): string {
  return join(pathsOf(lab.name).run, `${host.name}.pid`);
}
