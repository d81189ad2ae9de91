import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { MigrateError } from '../base/errors.ts';
import type { UndoStack } from '../base/undo.ts';
import { armTool } from '../host/arm.ts';
import { findCgroupRoot, makeCgroup, removeCgroup, removeEmptyCgroup } from '../host/cgroup.ts';
import { cgroupParentName, netnsNameOf } from '../job/paths.ts';
import { applyNetwork } from '../network/l2/apply.ts';
import { captureNetwork } from '../network/l2/capture.ts';
import { diffNetwork } from '../network/l2/diff.ts';
import { createJobNetns, destroyJobNetns } from '../network/l2/namespace.ts';
import { planNetwork } from '../network/l2/plan.ts';
import type { NetworkState } from '../network/l2/state.ts';
import type { Established } from './established.ts';

/** The job's end of its veth, as the job sees it. */
const innerDevice = 'eth0';

export interface L2Wish {
  readonly name: string;
  readonly bridge: string;
  readonly state: NetworkState;
}

/**
 * Builds an l2 job's namespace from its document, reads it back and compares: NETWORK_DIFFERS names
 * what did not arrive. The job is not on the bridge before `goLive`.
 */
export async function establishL2(wish: L2Wish, undo: UndoStack): Promise<Established> {
  const cgroup = join(await findCgroupRoot(), cgroupParentName, wish.name);
  undo.push('parent cgroup', () => removeEmptyCgroup(dirname(cgroup)));
  undo.push('cgroup', () => removeCgroup(cgroup));
  await makeCgroup(cgroup);
  const name = netnsNameOf(wish.name);
  const hostEnd = hostEndOf(wish.name);
  const link = wish.state.links.find((candidate) => candidate.name === innerDevice);
  const mac = link !== undefined && 'mac' in link ? link.mac : undefined;
  undo.push('namespace', () => destroyJobNetns(name, hostEnd));
  const netns = await createJobNetns({
    name,
    hostEnd,
    innerName: innerDevice,
    bridge: wish.bridge,
    ...(mac === undefined ? {} : { mac }),
  });
  await applyNetwork(planNetwork(wish.state), netns);
  await compare(netns.path, wish.state);
  const ip = armTool('ip', ['-batch', '-']);
  undo.push('armed tool', () => ip.cancel());
  return {
    cgroup,
    netns: netns.path,
    hostEnd,
    device: innerDevice,
    mac: mac ?? '',
    settle: async () => undefined,
    async goLive() {
      await ip.fire(`link set dev ${hostEnd} master ${wish.bridge}\n`);
    },
  };
}

/** The inverse of establishL2 for a job that runs or has ended here. */
export async function dismantleL2(job: {
  readonly name: string;
  readonly cgroup: string;
}): Promise<void> {
  await destroyJobNetns(netnsNameOf(job.name), hostEndOf(job.name));
  await removeCgroup(job.cgroup);
}

/** Device names have 15 characters at most, job names more: a digest stands for the name. */
function hostEndOf(name: string): string {
  return `mgv${createHash('sha256').update(name).digest('hex').slice(0, 10)}`;
}

async function compare(path: string, wanted: NetworkState): Promise<void> {
  const differences = diffNetwork(wanted, await captureNetwork({ path }));
  if (differences.length === 0) return;
  throw new MigrateError(
    'NETWORK_DIFFERS',
    `the namespace is not what was captured: ${differences.slice(0, 3).join('; ')}`,
    { hint: 'the kernel or the tools of this host lack something that the other has' },
  );
}
