import { basename, dirname } from 'node:path';
import { MigrateError } from '../../base/errors.ts';
import {
  allPids,
  executableOf,
  namespaceIn,
  namespaceOf,
  type ProcessStat,
  pidsOf,
  readProcess,
} from '../../host/proc.ts';
import { paths } from '../../job/paths.ts';

/** A process as far as it matters to which tree it belongs. */
export interface Member extends Pick<ProcessStat, 'pid' | 'name' | 'ppid' | 'startTime'> {
  /** Whether it is in the network namespace in question. */
  readonly isInside: boolean;
  /** Its PID namespace, and what it is called there. */
  readonly pidns: string;
  readonly nsPid: number;
  /** The first process of a PID namespace that we made for trees that came here: no tree's. */
  readonly isOurInit: boolean;
}

/** Every process of this host; those that end meanwhile may be missing. */
export async function readMembers(netns: string): Promise<Member[]> {
  const wanted = await namespaceIn(netns, 'net');
  if (wanted === undefined) {
    throw new MigrateError('NO_SUCH_JOB', `there is no network namespace ${netns} on this host`, {
      hint: '`ip netns list` lists them',
    });
  }
  const read = await Promise.all((await allPids()).map((pid) => readMember(pid, wanted)));
  return read.filter((member) => member !== undefined);
}

async function readMember(pid: number, wanted: string): Promise<Member | undefined> {
  const [stat, net, pidns, nsPids] = await Promise.all([
    readProcess(pid),
    namespaceOf(pid, 'net'),
    namespaceOf(pid, 'pid'),
    pidsOf(pid),
  ]);
  if (stat === undefined || pidns === undefined) return undefined;
  const nsPid = nsPids.at(-1) ?? pid;
  const { name, ppid, startTime } = stat;
  const isInside = net === wanted;
  const isFirst = isInside && nsPids.length > 1 && nsPid === 1;
  const isOurInit = isFirst && (await isJobInit(pid));
  return { pid, name, ppid, startTime, isInside, pidns, nsPid, isOurInit };
}

async function isJobInit(pid: number): Promise<boolean> {
  const program = await executableOf(pid);
  if (program === undefined) return false;
  return dirname(program) === paths.lib && basename(program).startsWith('job-init-');
}

/**
 * The first process in the namespace that is not one of `known` and no tool of ours: a look that is
 * cheap enough for a freeze.
 */
export async function findStranger(
  netns: string,
  known: ReadonlySet<number>,
): Promise<ProcessStat | undefined> {
  const wanted = await namespaceIn(netns, 'net');
  const found = await Promise.all(
    (await allPids()).map(async (pid) => {
      if (known.has(pid) || (await namespaceOf(pid, 'net')) !== wanted) return undefined;
      return (await isOurTool(pid)) ? undefined : readProcess(pid);
    }),
  );
  return found.find((stat) => stat !== undefined);
}

/** A tool, its shell, and us: nothing of ours lies deeper. */
const toolDepthMax = 8;

async function isOurTool(pid: number): Promise<boolean> {
  let at = pid;
  for (let depth = 0; depth < toolDepthMax && at > 1; depth += 1) {
    if (at === process.pid) return true;
    at = (await readProcess(at))?.ppid ?? 0;
  }
  return false;
}
