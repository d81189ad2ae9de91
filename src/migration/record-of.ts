import type { Manifest } from '../bundle/index.ts';
import { logPathOf } from '../job/paths.ts';
import type { StoredJob } from '../job/record.ts';
import type { Established } from '../restore/established.ts';
import type { HeldJob } from '../restore/held-job.ts';
import type { PrepareRequest } from './protocol.ts';

/** The record of a job that was restored here. */
export function recordOf(
  identity: PrepareRequest['job'],
  manifest: Manifest,
  place: Established,
  held: Pick<HeldJob, 'initPid' | 'initStartTime' | 'trees'>,
): StoredJob {
  const { job } = manifest;
  const { loopback, addresses: _addresses, ...spec } = identity;
  return {
    ...spec,
    cwd: job.cwd ?? '/',
    hostname: job.hostname,
    initPid: held.initPid,
    initStartTime: held.initStartTime,
    ...(held.trees === undefined ? {} : { trees: held.trees }),
    cgroup: place.cgroup,
    createdAt: job.createdAt,
    // The job holds its log open by the name that it was started with.
    logPath: manifest.files[0]?.path ?? logPathOf(job.name, identity.rootfs),
    device: place.device,
    moveId: manifest.id,
    epoch: manifest.epoch,
    ...(loopback === undefined ? {} : { loopback }),
    ...(place.netns === undefined ? {} : { netns: place.netns }),
    ...(place.hostEnd === undefined ? {} : { hostEnd: place.hostEnd }),
    // Another host's bridge may have another name.
    ...(place.bridge === undefined ? {} : { bridge: place.bridge }),
  };
}
