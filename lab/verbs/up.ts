import { backendOf } from '../backends.ts';
import { tryRefreshBundle } from '../bundle.ts';
import { LabError, messageOf, usage } from '../errors.ts';
import { TAKE_SEED, writeSeeds } from '../host/seed.ts';
import { withLock } from '../lock.ts';
import { enterMachine } from '../machine/presence.ts';
import { isAlive } from '../machine/process.ts';
import {
  type BackendName,
  emptyLab,
  type Host,
  hostNamed,
  type Lab,
  nextNumber,
  withHost,
} from '../model.ts';
import { makeSegment } from '../network/segment.ts';
import { pathsOf } from '../paths.ts';
import { makePlace } from '../place.ts';
import { answersSsh } from '../ssh.ts';
import { readLab, writeLab } from '../state.ts';
import { downHosts, downLab } from './down.ts';
import { runInHost } from './exec.ts';

/** Makes the named hosts, or starts those that lost power; a failure undoes what it did. */
export async function up(name: string, names: readonly string[], options: UpOptions): Promise<Lab> {
  return withLock(pathsOf(name).lock, async () => {
    const before = await readLab(name);
    if (before !== undefined) refuseOtherBackend(before, options);
    try {
      return await bring(before ?? (await create(name, options)), names);
    } catch (error) {
      await undo(before, name).catch((again: unknown) => {
        throw new LabError(`${messageOf(error)}; and undoing it: ${messageOf(again)}`);
      });
      throw error;
    }
  });
}

export interface UpOptions {
  readonly backend?: BackendName;
}

function refuseOtherBackend(lab: Lab, options: UpOptions): void {
  if (options.backend === undefined || options.backend === lab.backend) return;
  throw usage(`lab ${lab.name} has ${lab.backend} hosts; name another lab for ${options.backend}`);
}

async function create(name: string, options: UpOptions): Promise<Lab> {
  const backend = options.backend ?? 'netns';
  await enterMachine(name);
  await makePlace(name);
  const lab: Lab = { name, backend, ground: await backendOf({ backend }).prepare(), hosts: [] };
  await writeLab(lab);
  return lab;
}

async function bring(before: Lab, names: readonly string[]): Promise<Lab> {
  let lab = before;
  for (const name of names) {
    if (lab.hosts.some((host) => host.name === name)) continue;
    lab = withHost(lab, { name, number: nextNumber(lab) });
  }
  // Written before anything starts, so that `down` finds all of it whatever happens from here.
  await writeLab(lab);
  await makeSegment(pathsOf(lab.name).netns);
  await Promise.all([writeSeeds(lab), tryRefreshBundle(lab.name)]);
  const asleep = await selectAsleep([...new Set(names)].map((name) => hostNamed(lab, name)));
  if (lab.hosts.length > before.hosts.length) await spread(lab);
  return bootAll(lab, asleep);
}

async function bootAll(lab: Lab, hosts: readonly Host[]): Promise<Lab> {
  const backend = backendOf(lab);
  let current = lab;
  const results = await Promise.allSettled(
    hosts.map(async (host) => {
      const process = await backend.boot(lab, host);
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
async function spread(lab: Lab): Promise<void> {
  for (const host of lab.hosts) {
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

/** Back to the hosts there were before; those that ran still run, and were not touched. */
async function undo(before: Lab | undefined, name: string): Promise<void> {
  const now = await readLab(name);
  if (before === undefined) return downLab(now ?? emptyLab(name));
  if (now === undefined) return;
  const wasThere = (host: Host) => before.hosts.find((old) => old.name === host.name);
  for (const host of now.hosts) {
    const old = wasThere(host);
    const isNewlyUp = old !== undefined && !(await isAlive(old.process));
    if (isNewlyUp) await backendOf(now).kill(now, host);
  }
  const hosts = now.hosts.map((host) => wasThere(host) ?? host);
  await downHosts(
    { ...now, hosts },
    now.hosts.filter((host) => wasThere(host) === undefined),
  );
}
