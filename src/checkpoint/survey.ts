import { MigrateError } from '../base/errors.ts';
import { cgroupPids } from '../host/cgroup.ts';
import { type ProcessSummary, readProcess, summarizeProcess } from '../host/proc.ts';
import { run } from '../host/run.ts';
import type { StoredJob } from '../job/record.ts';
import { isNetnsJob } from '../job/record.ts';
import { findPager } from '../memory/pager/find.ts';
import { parseInterfaceAddress } from '../network/address.ts';
import { findBeside, findOutsiders } from './netns/outsiders.ts';
import { surveyTrees } from './netns/survey.ts';
import type { JobTree } from './netns/trees.ts';
import { reportSockets, type SocketReport } from './sockets/report.ts';

export interface SocketCounts {
  readonly listening: number;
  readonly established: number;
  readonly udp: number;
  readonly closed: number;
}

/** What a job consists of, read while it runs. */
export interface Survey {
  readonly processes: readonly ProcessSummary[];
  /** Resident memory of all of them, bytes; shared pages count once per process. */
  readonly memoryBytes: number;
  readonly sockets: SocketCounts;
  /** A named namespace's process trees; other jobs have one, below their first process. */
  readonly trees?: readonly JobTree[];
  /** What a move would do to them. */
  readonly socketReport: SocketReport;
}

/**
 * Looks at a running job. Throws PLAN_REFUSED when a process in its cgroup is not a descendant of
 * its first one: CRIU dumps a tree, and what is beside it would be lost. A named namespace has
 * reasons of its own, see netns/.
 */
export async function surveyJob(job: StoredJob): Promise<Survey> {
  await refuseArriving(job);
  if (isNetnsJob(job.name)) {
    const trees = await surveyTrees(job.name, job.netns ?? '');
    const pids = trees.flatMap(({ members }) => members.map(({ pid }) => pid));
    return { ...(await describe(job, pids, await countSockets(job))), trees };
  }
  const [pids, sockets] = await Promise.all([cgroupPids(job.cgroup), countSockets(job)]);
  await refuseStrangers(job, pids);
  await refuseOutsiders(job, pids);
  return describe(job, pids, sockets);
}

async function describe(
  job: StoredJob,
  pids: readonly number[],
  sockets: SocketCounts,
): Promise<Survey> {
  const socketReport = reportSockets(job, pids);
  const summaries = await Promise.all(pids.map(summarizeProcess));
  const processes = summaries.filter((summary) => summary !== undefined);
  const memoryBytes = processes.reduce((sum, { residentBytes }) => sum + residentBytes, 0);
  return { processes, memoryBytes, sockets, socketReport };
}

/** What CRIU sees of pages that have not come yet is nothing, and nothing is what it would dump. */
async function refuseArriving(job: StoredJob): Promise<void> {
  if ((await findPager(job.cgroup)) === undefined) return;
  throw new MigrateError('BUSY', `memory of job ${job.name} is still arriving from its last move`, {
    side: 'source',
    location: 'source-running',
    hint: 'wait until that is done',
  });
}

async function refuseStrangers(job: StoredJob, pids: readonly number[]): Promise<void> {
  const members = new Set(pids);
  for (const pid of pids) {
    if (pid === job.initPid) continue;
    const stat = await readProcess(pid);
    if (stat === undefined || members.has(stat.ppid)) continue;
    throw new MigrateError(
      'PLAN_REFUSED',
      `process ${pid} (${stat.name}) is in the job but not a child of it`,
      {
        side: 'source',
        location: 'source-running',
        hint: 'it was started with `migrate exec`: wait for it to end',
      },
    );
  }
}

/** Of a job with a network namespace of its own: nothing in that may be somebody else's. */
async function refuseOutsiders(job: StoredJob, pids: readonly number[]): Promise<void> {
  if (job.netns === undefined) return;
  const members = new Set(pids);
  const beside = await findBeside(job.netns, members, job.initPid);
  const [first] = beside === undefined ? await findOutsiders(job.netns, members) : [beside];
  if (first === undefined) return;
  throw new MigrateError('PLAN_REFUSED', first.message, {
    side: 'source',
    location: 'source-running',
    hint: first.hint,
  });
}

async function countSockets(job: StoredJob): Promise<SocketCounts> {
  const args = ['-H', '-t', '-u', '-a', '-n'];
  const { stdout } =
    job.netns === undefined
      ? await run('ss', args)
      : await run('nsenter', [`--net=${job.netns}`, 'ss', ...args]);
  const own = new Set(job.ip.map((text) => parseInterfaceAddress(text).address));
  if (job.loopback !== undefined) own.add(job.loopback.v4).add(job.loopback.v6);
  const counts = { listening: 0, established: 0, udp: 0, closed: 0 };
  for (const line of stdout.split('\n')) {
    const [kind, state, , , local] = line.trim().split(/\s+/);
    if (local === undefined) continue;
    if (job.kind === 'l3' && !own.has(localAddress(local))) continue;
    if (kind === 'udp') counts.udp += 1;
    else if (state === 'LISTEN') counts.listening += 1;
    else if (state === 'ESTAB') counts.established += 1;
    else counts.closed += 1;
  }
  return counts;
}

/** `10.0.0.1:80`, `[::ffff:10.0.0.1]:80`, `10.0.0.1%eth0:53` -> the address. */
function localAddress(text: string): string {
  const host = text.slice(0, text.lastIndexOf(':')).replace(/^\[|\]$/g, '');
  return host.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/, '');
}
