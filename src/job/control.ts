import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MigrateError } from '../base/errors.ts';
import { cgroupPids, killCgroup, thawCgroup } from '../host/cgroup.ts';
import { poll } from '../host/clock.ts';
import { readProcess } from '../host/proc.ts';
import { spawnProgram } from '../host/spawn.ts';
import { privilegesOf } from './privileges.ts';
import type { JobRecord, StoredJob } from './record.ts';

const pollStepMs = 10;

/**
 * Runs a command inside the job's namespaces and cgroup, on our terminal, as root and with no more
 * rights over the network than the job has; its exit status.
 */
export async function execInJob(job: JobRecord, command: readonly string[]): Promise<number> {
  if (job.state === 'ended') throw new MigrateError('JOB_NOT_RUNNING', `job ${job.name} has ended`);
  const enter = ['nsenter', '-t', String(job.initPid), '--mount', '--pid', '--ipc', '--uts'];
  const net = job.kind === 'l2' ? ['--net'] : [];
  const root = job.rootfs === undefined ? [] : ['--root', '--wd'];
  // The shell joins the cgroup first: the bind filter of an l3 job is attached to it.
  const script = 'echo 0 > "$1"; shift; exec "$@"';
  const program = spawnProgram(
    'sh',
    [
      '-c',
      script,
      'sh',
      join(job.cgroup, 'cgroup.procs'),
      ...enter,
      ...net,
      ...root,
      '--',
      ...privilegesOf({ kind: job.kind, allow: job.allow }),
      ...command,
    ],
    { stdio: 'inherit' },
  );
  return program.ended;
}

/** SIGTERM to the program, and after `timeoutMs` SIGKILL to everything that is left. */
export async function stopProcesses(job: StoredJob, timeoutMs: number): Promise<void> {
  await thawCgroup(job.cgroup);
  const first = { pid: job.initPid, startTime: job.initStartTime };
  let isTold = false;
  for (const { pid, startTime } of job.trees ?? [first]) {
    if ((await readProcess(pid))?.startTime !== startTime) continue;
    process.kill(pid, 'SIGTERM');
    isTold = true;
  }
  if (isTold) {
    await poll(async () => (await cgroupPids(job.cgroup)).length === 0, timeoutMs, pollStepMs);
  }
  await killCgroup(job.cgroup);
}

export async function removeLog(job: StoredJob): Promise<void> {
  await rm(job.logPath, { force: true });
}
