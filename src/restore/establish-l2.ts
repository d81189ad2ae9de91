import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { MigrateError } from '../base/errors.ts';
import type { UndoStack } from '../base/undo.ts';
import { findCgroupRoot, makeCgroup, removeCgroup, removeEmptyCgroup } from '../host/cgroup.ts';
import { withOpenFile } from '../host/files.ts';
import { cgroupParentName, netnsNameOf } from '../job/paths.ts';
import { buildNetwork, updateNetwork } from '../network/l2/build.ts';
import { captureNetwork } from '../network/l2/capture.ts';
import { chooseEnds } from '../network/l2/choose-ends.ts';
import { diffNetwork } from '../network/l2/diff.ts';
import { easeBinding } from '../network/l2/ease-binding.ts';
import { fitMtu } from '../network/l2/fit-mtu.ts';
import { attachEnds, type HostEnd, placesOf } from '../network/l2/host-ends.ts';
import { createNetns, removeNetns } from '../network/l2/namespace.ts';
import {
  missingNetnsFiles,
  removeNetnsFiles,
  writeNetnsFiles,
} from '../network/l2/netfilter/netns-files.ts';
import type { NetworkState } from '../network/l2/state.ts';
import { readSpeakers } from '../network/l2/wire.ts';
import { armUnmute, removeMute, unmuteDevices } from '../network/switchover/mute.ts';
import type { Established } from './established.ts';
import { markOfNetns, writeMade } from './made.ts';

export interface L2Wish {
  readonly name: string;
  readonly state: NetworkState;
  /** A new job's document leaves out what the kernel makes by itself. */
  readonly isNew: boolean;
  /** Where to write down what is made, for `takeMadeAway` should this agent die. */
  readonly made?: string | undefined;
}

/**
 * Builds an l2 job's namespace from its document, reads it back and compares: NETWORK_DIFFERS names
 * what did not arrive. The job is on no bridge before `goLive`.
 */
export async function establishL2(wish: L2Wish, undo: UndoStack): Promise<Established> {
  const { isNew } = wish;
  const cgroup = join(await findCgroupRoot(), cgroupParentName, wish.name);
  undo.push('parent cgroup', () => removeEmptyCgroup(dirname(cgroup)));
  undo.push('cgroup', () => removeCgroup(cgroup));
  await makeCgroup(cgroup);
  const ends = await hostEndsOf(wish);
  const state = fitMtu(wish.state, ends);
  const muted = ends.filter(({ on }) => on === 'parent').map(({ link }) => link);
  const name = netnsNameOf(wish.name);
  const files = await missingNetnsFiles(name, state.files);
  if (wish.made !== undefined) await writeMade(wish.made, { files });
  await writeNetnsFiles(name, state.files, undo);
  const { path } = await createNetns(name);
  if (wish.made !== undefined) {
    await writeMade(wish.made, { files, namespace: await markOfNetns(path) });
  }
  // After its effect: what failed may have met a namespace that is another's.
  undo.push('namespace', () => removeNetns(name));
  await withOpenFile(path, (fd) =>
    buildNetwork(state, { path }, { places: placesOf(ends, fd), keepExtra: isNew, muted }),
  );
  if (!isNew) await compare(path, state);
  const unmute = muted.length === 0 ? undefined : armUnmute(path);
  undo.push('armed tool', () => unmute?.cancel());
  const [first] = ends;
  let built = state;
  let speakers = readSpeakers(path);
  return {
    cgroup,
    netns: path,
    ends,
    ...(first === undefined ? {} : { hostEnd: first.hostEnd }),
    ...(first === undefined ? {} : { bridge: first.device }),
    device: first?.link ?? 'lo',
    speakers: () => speakers,
    easeBinding: () => easeBinding(path, built),
    async settle() {
      if (unmute !== undefined) await removeMute(path);
    },
    async goLive() {
      attachEnds(ends);
      if (unmute !== undefined) await unmuteDevices(unmute);
    },
    async update(later) {
      const latest = fitMtu(later, ends);
      const isOther = diffNetwork(latest, built).length > 0;
      await updateNetwork(latest, { path }, { built, isOther });
      built = latest;
      if (!isOther) return;
      await compare(path, latest);
      speakers = readSpeakers(path);
    },
  };
}

/** The inverse of establishL2 for a job that runs or has ended here. */
export async function dismantleL2(job: {
  readonly name: string;
  readonly cgroup: string;
}): Promise<void> {
  await removeNetns(netnsNameOf(job.name));
  await removeNetnsFiles(netnsNameOf(job.name));
  await removeCgroup(job.cgroup);
}

async function hostEndsOf({ name, state }: L2Wish): Promise<HostEnd[]> {
  const { ends, problems } = await chooseEnds(state.ends);
  const [problem] = problems;
  if (problem !== undefined) {
    throw new MigrateError('NETWORK_FAILED', problem.message, { hint: problem.hint });
  }
  return ends.map((end) => ({ ...end, hostEnd: hostEndOf(name, end.link) }));
}

/** Device names have 15 characters at most, job names more: digests stand for both names. */
function hostEndOf(job: string, link: string): string {
  return `mgv${digestOf(job).slice(0, 7)}${digestOf(link).slice(0, 4)}`;
}

function digestOf(name: string): string {
  return createHash('sha256').update(name).digest('hex');
}

async function compare(path: string, wanted: NetworkState): Promise<void> {
  const differences = diffNetwork(wanted, await captureNetwork({ path }, { allowLoose: true }));
  if (differences.length === 0) return;
  throw new MigrateError(
    'NETWORK_DIFFERS',
    `the namespace is not what was captured: ${differences.slice(0, 3).join('; ')}`,
    { hint: 'the kernel or the tools of this host lack something that the other has' },
  );
}
