import { chmod, mkdir, rm } from 'node:fs/promises';
import { type Backend, backendOf, type Ground } from '../backend.ts';
import { refreshBundle } from '../bundle.ts';
import { messageOf, usage } from '../errors.ts';
import { TAKE_SEED, writeSeeds } from '../host/seed.ts';
import { withLock } from '../lock.ts';
import { isAlive } from '../machine/process.ts';
import {
  type BackendName,
  type Host,
  hostNamed,
  type Lab,
  nextNumber,
  withHost,
} from '../model.ts';
import { makeSegment } from '../network/segment.ts';
import { pathsOf } from '../paths.ts';
import { answersSsh } from '../ssh.ts';
import { readLab, writeLab } from '../state.ts';
import { downHosts, downLab } from './down.ts';
import { runInHost } from './exec.ts';

/** Makes the named hosts, or starts those that lost power; a failure undoes what it did. */
export async function up(name: string, names: readonly string[], options: UpOptions): Promise<Lab> {
  return withLock(pathsOf(name).lock, async () => {
    const before = await readLab(name);
    const lab = before ?? { name, backend: options.backend ?? 'netns', hosts: [] };
    if (options.backend !== undefined && options.backend !== lab.backend) {
      throw usage(`lab ${name} has ${lab.backend} hosts; take another LAB for ${options.backend}`);
    }
    const ground = await backendOf(lab).prepare();
    try {
      return await bring(lab, before === undefined, names, ground);
    } catch (error) {
      await undo(before, name).catch((again) => {
        throw new AggregateError([error], `${messageOf(error)}; undoing it: ${messageOf(again)}`);
      });
      throw error;
    }
  });
}

export interface UpOptions {
  readonly backend?: BackendName;
}

async function bring(
  before: Lab,
  isNew: boolean,
  names: readonly string[],
  ground: Ground,
): Promise<Lab> {
  if (isNew) await makePlace(before.name);
  let lab = before;
  for (const name of names) {
    if (!lab.hosts.some((host) => host.name === name)) {
      lab = withHost(lab, { name, number: nextNumber(lab) });
    }
  }
  // Written before anything starts, so that `down` finds all of it whatever happens from here.
  await writeLab(lab);
  await makeSegment(pathsOf(lab.name).netns);
  await Promise.all([writeSeeds(lab), refreshBundle(lab.name)]);
  const asleep = await selectAsleep(names.map((name) => hostNamed(lab, name)));
  const awake = lab.hosts.filter((host) => host.process && !asleep.includes(host));
  if (lab.hosts.length > before.hosts.length) await spread(lab, awake);
  return bootAll(lab, asleep, ground);
}

async function bootAll(lab: Lab, hosts: readonly Host[], ground: Ground): Promise<Lab> {
  const backend: Backend = backendOf(lab);
  let current = lab;
  const results = await Promise.allSettled(
    hosts.map(async (host) => {
      const process = await backend.boot(lab, host, ground);
      current = withHost(current, { ...host, process });
    }),
  );
  await writeLab(current);
  const failure = results.find((result) => result.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
  await Promise.all(hosts.map((host) => answersSsh(current, host)));
  return current;
}

/** Hosts that run already learn of the new ones. */
async function spread(lab: Lab, hosts: readonly Host[]): Promise<void> {
  for (const host of hosts) {
    if (await isAlive(host.process)) await runInHost(lab, host, TAKE_SEED);
  }
}

async function selectAsleep(hosts: readonly Host[]): Promise<Host[]> {
  const asleep: Host[] = [];
  for (const host of new Set(hosts)) {
    if (!(await isAlive(host.process))) asleep.push(host);
  }
  return asleep;
}

async function makePlace(name: string): Promise<void> {
  const paths = pathsOf(name);
  // Left by a lab that ended with its machine.
  await rm(paths.data, { recursive: true, force: true });
  for (const directory of [paths.run, paths.keys, paths.shared, paths.bundle]) {
    await mkdir(directory, { recursive: true });
  }
  await chmod(paths.keys, 0o700);
  await chmod(paths.shared, 0o1777);
}

/** Back to the hosts there were before; those that ran still run, and were not touched. */
async function undo(before: Lab | undefined, name: string): Promise<void> {
  const lab = await readLab(name);
  if (lab === undefined) return;
  if (before === undefined) return downLab(lab);
  const isOld = (host: Host) => before.hosts.some((old) => old.name === host.name);
  const fresh = lab.hosts.filter((host) => !isOld(host));
  const woken = lab.hosts.filter((host) => isOld(host) && !hostNamed(before, host.name).process);
  for (const host of woken) await backendOf(lab).kill(lab, host);
  await writeLab({
    ...lab,
    hosts: lab.hosts.map((host) => (isOld(host) ? hostNamed(before, host.name) : host)),
  });
  await downHosts(lab, fresh);
}
