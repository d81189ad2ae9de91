import { hostname } from 'node:os';
import { asMigrateError, MigrateError } from '../base/errors.ts';
import { createUndoStack } from '../base/undo.ts';
import { killCgroup } from '../host/cgroup.ts';
import { execInJob as execInside, removeLog, stopProcesses } from '../job/control.ts';
import { launchJob } from '../job/launch.ts';
import { lockJob } from '../job/lock.ts';
import { type JobRecord, type JobSpec, parseJobSpec, type StoredJob } from '../job/record.ts';
import { findJob, forgetJob, refuseExisting, saveJob } from '../job/registry.ts';
import { freshState } from '../network/l2/fresh-state.ts';
import { bridgeMtu } from '../network/l2/namespace.ts';
import type { NetworkState } from '../network/l2/state.ts';
import { dismantlePlace, establish } from '../restore/establish.ts';
import { announceJob } from './announce-job.ts';
import { refuseCutOff } from './recover.ts';
import { refuseArrival, sweepDeadAgents } from './sweep.ts';

/** How long a program may take to end after SIGTERM, unless said. */
const stopTimeoutMs = 10_000;

/** Starts a job: its place on this host first, then its program. Nothing stays when it fails. */
export async function runJob(value: unknown): Promise<JobRecord> {
  const spec = parseJobSpec(value);
  await sweepDeadAgents();
  const unlock = await lockJob(spec.name);
  const undo = createUndoStack();
  try {
    await refuseCutOff(spec.name);
    await refuseArrival(spec.name);
    await refuseExisting(spec.name, 'choose another name');
    const place = await establish({ ...spec, network: await networkOf(spec), isNew: true }, undo);
    undo.push('tasks', () => killCgroup(place.cgroup));
    const name = spec.kind === 'l2' ? spec.name : hostname();
    const started = await launchJob(spec, {
      cgroup: place.cgroup,
      hostname: name,
      cwd: spec.rootfs === undefined ? process.cwd() : '/',
      ...(place.netns === undefined ? {} : { netns: place.netns }),
    });
    const job: StoredJob = {
      ...spec,
      ...started,
      cwd: spec.rootfs === undefined ? process.cwd() : '/',
      hostname: name,
      cgroup: place.cgroup,
      device: place.device,
      epoch: 0,
      ...(place.loopback === undefined ? {} : { loopback: place.loopback }),
      ...(place.netns === undefined ? {} : { netns: place.netns }),
      ...(place.hostEnd === undefined ? {} : { hostEnd: place.hostEnd }),
    };
    undo.push('record', () => forgetJob(spec.name));
    await saveJob(job);
    await place.goLive();
    void announceJob(place);
    return { ...job, state: 'running' };
  } catch (error) {
    await undo.rollback();
    throw asMigrateError(error, 'JOB_START_FAILED').with({ side: 'local' });
  } finally {
    await unlock();
  }
}

/** Ends a job's tasks: SIGTERM, then SIGKILL after the timeout. */
export async function stopJob(name: string, options: { timeoutMs?: number } = {}): Promise<void> {
  const job = await findJob(name);
  const unlock = await lockJob(name);
  try {
    await refuseCutOff(name);
    await stopProcesses(job, options.timeoutMs ?? stopTimeoutMs);
  } finally {
    await unlock();
  }
}

/** Takes away what is left of a job that has ended: its place, its log, its record. */
export async function removeJob(name: string): Promise<void> {
  const job = await findJob(name);
  const unlock = await lockJob(name);
  try {
    await refuseCutOff(name);
    if (job.state !== 'ended') {
      throw new MigrateError('USAGE', `job ${name} still runs`, { hint: '`migrate stop` first' });
    }
    await dismantlePlace(job);
    await removeLog(job);
    await forgetJob(name);
  } finally {
    await unlock();
  }
}

/** Runs a command inside a job, on our terminal; resolves to its exit status. */
export async function execInJob(name: string, command: readonly string[]): Promise<number> {
  return execInside(await findJob(name), command);
}

async function networkOf(spec: JobSpec): Promise<NetworkState | undefined> {
  if (spec.bridge === undefined || spec.kind !== 'l2') return undefined;
  return freshState({
    ip: spec.ip,
    bridge: spec.bridge,
    mtu: await bridgeMtu(spec.bridge),
    ...(spec.gateway === undefined ? {} : { gateways: [spec.gateway] }),
  });
}
