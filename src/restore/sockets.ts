import { asMigrateError } from '../base/errors.ts';
import { cgroupPids } from '../host/cgroup.ts';
import { nameOfProcess, openForeignProcess } from '../host/foreign-sockets.ts';
import type { SocketSettings } from '../network/sockets/settings.ts';
import { type Remark, tellTogether } from '../network/sockets/tell.ts';
import { settingsWriter } from '../network/sockets/write.ts';

export interface RestoredPlace {
  readonly cgroup: string;
  /** Where an l3 job's packets arrive on this host. */
  readonly device: string;
  /** The first process of the restored job, as this host numbers it. */
  readonly initPid: number;
}

/**
 * Gives the sockets of a job that stands restored and held what CRIU forgets of them. What cannot
 * be set is told, a line each, and does not keep the job from running; throws only what is a
 * failure of our own.
 */
export async function setSockets(
  settings: readonly SocketSettings[],
  { cgroup, device, initPid }: RestoredPlace,
): Promise<string[]> {
  if (settings.length === 0) return [];
  const processes = await processesOf(cgroup, initPid);
  const writer = settingsWriter(`/proc/${initPid}/ns/net`, device);
  const remarks: Remark[] = [];
  for (const entry of settings) {
    for (const { pid: jobPid, fds } of entry.at) {
      const process = processes.get(jobPid);
      const failures =
        process === undefined
          ? fds.map((fd) => ({ fd, what: 'its process is not there' }))
          : setOf(process.pid, fds, (socket) => writer.write(socket, entry));
      const { pid = jobPid, program = '?' } = process ?? {};
      remarks.push(...failures.map((failure) => ({ pid, program, ...failure })));
    }
  }
  return tellTogether(remarks).map(({ message }) => message);
}

interface RestoredProcess {
  readonly pid: number;
  readonly program: string;
}

/** The job's processes by their pids in its own PID namespace, which CRIU gives them again. */
async function processesOf(cgroup: string, initPid: number): Promise<Map<number, RestoredProcess>> {
  const depth = nameOfProcess(initPid)?.pids.length ?? 0;
  const found = new Map<number, RestoredProcess>();
  for (const pid of await cgroupPids(cgroup)) {
    const name = nameOfProcess(pid);
    // CRIU itself is in the cgroup too, but in no namespace of the job's.
    const jobPid = name?.pids[depth - 1];
    if (name === undefined || jobPid === undefined) continue;
    found.set(jobPid, { pid, program: name.program });
  }
  return found;
}

function setOf(
  pid: number,
  fds: readonly number[],
  write: (socket: number) => string[],
): { fd: number; what: string }[] {
  const process = openForeignProcess(pid);
  try {
    return fds.flatMap((fd) => {
      const failures = attempt(() => process?.borrow(fd, write)) ?? ['it is not there'];
      return failures.map((what) => ({ fd, what }));
    });
  } finally {
    process?.close();
  }
}

function attempt(work: () => string[] | undefined): string[] | undefined {
  try {
    return work();
  } catch (error) {
    return [asMigrateError(error).message];
  }
}
