import { hostname } from 'node:os';
import { join } from 'node:path';
import { MigrateError } from '../../base/errors.ts';
import { cgroupOf, findCgroupRoot, isFrozenItself } from '../../host/cgroup.ts';
import { isoNow } from '../../host/clock.ts';
import { cgroupParentName, logPathOf, netnsNameOf } from '../../job/paths.ts';
import type { JobRecord } from '../../job/record.ts';
import { readJob } from '../../job/registry.ts';
import { netnsPathOf } from '../../network/l2/namespace.ts';
import { wayOut } from '../../network/l2/way-out.ts';
import { findTrees, firstOf } from './survey.ts';

/**
 * A named network namespace of this host as a job, whether somebody made it here or a move brought
 * it: what matters is what is in it now. Throws NO_SUCH_JOB, and PLAN_REFUSED for what is no
 * namespace to move.
 */
export async function describeNetns(name: string): Promise<JobRecord> {
  const netns = netnsPathOf(netnsNameOf(name));
  refuseOurs(netnsNameOf(name));
  const [{ trees }, root, present] = await Promise.all([
    findTrees(netns),
    findCgroupRoot(),
    readJob(name),
  ]);
  const { ip, ...end } = wayOut(netns);
  const cgroup = join(root, cgroupParentName, name);
  const first = firstOf(trees, name);
  const home = await cgroupOf(first.pid, root);
  return {
    name,
    kind: 'l2',
    ip: [...ip],
    ...end,
    command: ['ip', 'netns', 'exec', netnsNameOf(name)],
    cwd: '/',
    hostname: hostname(),
    initPid: first.pid,
    initStartTime: first.startTime,
    trees: trees.map(({ pid, startTime }) => ({ pid, startTime })),
    cgroup,
    createdAt: present?.createdAt ?? isoNow(),
    logPath: logPathOf(name),
    netns,
    ...(present?.moveId === undefined ? {} : { moveId: present.moveId }),
    epoch: present?.epoch ?? 0,
    state: home !== undefined && (await isFrozenItself(home)) ? 'frozen' : 'running',
  };
}

/** A namespace that `migrate run --l2` made belongs to its job. */
function refuseOurs(netns: string): void {
  const job = /^migrate-(.+)$/.exec(netns)?.[1];
  if (job === undefined) return;
  throw new MigrateError('PLAN_REFUSED', `${netns} is the namespace of job ${job}`, {
    side: 'source',
    location: 'source-running',
    hint: `\`migrate ${job} HOST\` moves it`,
  });
}
