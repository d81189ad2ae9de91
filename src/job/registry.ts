import { readdir, rm } from 'node:fs/promises';
import { MigrateError } from '../base/errors.ts';
import { isFrozen } from '../host/cgroup.ts';
import { makePrivateDirectory, readIfPresent, writeDurably } from '../host/files.ts';
import { readProcess } from '../host/proc.ts';
import { isLocked } from './lock.ts';
import { paths, recordPathOf } from './paths.ts';
import { type JobRecord, type JobState, jobRecordSchema, type StoredJob } from './record.ts';

/** The jobs of this host, by name; those that have ended are listed until `migrate rm`. */
export async function listJobs(): Promise<JobRecord[]> {
  const names = await readdir(paths.jobs).catch(() => []);
  const jobs: JobRecord[] = [];
  for (const name of names.filter((file) => file.endsWith('.json')).sort()) {
    const job = await readJob(name.slice(0, -'.json'.length));
    if (job !== undefined) jobs.push(job);
  }
  return jobs;
}

/** One job, or NO_SUCH_JOB. */
export async function findJob(name: string): Promise<JobRecord> {
  const job = await readJob(name);
  if (job !== undefined) return job;
  throw new MigrateError('NO_SUCH_JOB', `no job ${name} on this host`, {
    hint: '`migrate ls` lists the jobs of this host',
  });
}

export async function readJob(name: string): Promise<JobRecord | undefined> {
  if (name.includes('/')) return undefined;
  const text = await readIfPresent(recordPathOf(name));
  if (text === undefined) return undefined;
  const parsed = jobRecordSchema.safeParse(JSON.parse(text));
  if (!parsed.success) {
    throw new MigrateError('INTERNAL', `${recordPathOf(name)}: ${parsed.error.message}`);
  }
  return { ...parsed.data, state: await stateOf(parsed.data) };
}

/**
 * Throws JOB_EXISTS when a job of that name runs here or has not been removed; `instead` is what
 * to do about one that runs. Its state would be `moving`, because the caller holds its lock.
 */
export async function refuseExisting(name: string, instead: string): Promise<void> {
  const present = await readJob(name);
  if (present === undefined) return;
  const hasEnded = present.state === 'ended';
  throw new MigrateError('JOB_EXISTS', `a job ${name} ${hasEnded ? 'has ended' : 'runs'} here`, {
    hint: hasEnded ? `\`migrate rm ${name}\` takes away what is left of it` : instead,
  });
}

export async function saveJob(job: StoredJob): Promise<void> {
  await makePrivateDirectory(paths.jobs);
  const { name } = job;
  await writeDurably(recordPathOf(name), `${JSON.stringify(jobRecordSchema.parse(strip(job)))}\n`);
}

export async function forgetJob(name: string): Promise<void> {
  await rm(recordPathOf(name), { force: true });
}

/** `state` is computed at each reading, so it is never stored. */
function strip(job: StoredJob): StoredJob {
  const { state: _state, ...stored } = job as JobRecord;
  return stored;
}

/** What a job does at this moment. */
export async function stateOf(job: StoredJob): Promise<JobState> {
  const first = { pid: job.initPid, startTime: job.initStartTime };
  const alive = await Promise.all((job.trees ?? [first]).map(isAlive));
  if (!alive.some(Boolean)) return 'ended';
  if (await isLocked(job.name)) return 'moving';
  return (await isFrozen(job.cgroup)) ? 'frozen' : 'running';
}

async function isAlive(first: { pid: number; startTime: number }): Promise<boolean> {
  return (await readProcess(first.pid))?.startTime === first.startTime;
}
