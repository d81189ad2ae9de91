import { stat } from 'node:fs/promises';
import { arch, hostname, release } from 'node:os';
import {
  type BundleSummary,
  type BundleWriter,
  imagesSectionOf,
  type Manifest,
  type ManifestV1,
  type ManifestV2,
  packDirectory,
  packFiles,
} from '../bundle/index.ts';
import { pageBytesOf } from '../criu/images.ts';
import { isNetnsJob, type StoredJob } from '../job/record.ts';
import type { SocketSettings } from '../network/sockets/settings.ts';
import type { ReadyDump } from './freeze.ts';
import type { Survey } from './survey.ts';

/** The end of the job's log that goes along; the rest stays on the source. */
const logBytesMax = 8 * 1024 * 1024;

export interface PackWish {
  readonly ready: ReadyDump;
  readonly survey: Survey;
  readonly id: string;
  readonly createdAt: string;
  readonly criuVersion: string;
  readonly migrateVersion: string;
  /** What the job's sockets have beyond CRIU's images, read while it was frozen. */
  readonly socketSettings: readonly SocketSettings[];
  /** The network document of the job, packed; it is still being read while images travel. */
  network(): Promise<Uint8Array | undefined>;
}

/** The lowest version of the format that can hold a job. */
export function versionFor(job: string): 1 | 2 {
  return isNetnsJob(job) ? 2 : 1;
}

/** Writes the whole bundle of a dumped job and says how much of it was memory, in bytes. */
export async function packJob(
  writer: BundleWriter,
  wish: PackWish,
): Promise<BundleSummary & { readonly memoryBytes: number }> {
  const { ready } = wish;
  let memoryBytes = 0;
  for (const [at, { images }] of ready.trees.entries()) {
    const packed = await packDirectory(writer, imagesSectionOf(at), images);
    memoryBytes += pageBytesOf(packed.files);
  }
  const network = await wish.network();
  if (network !== undefined) {
    const section = writer.section('network');
    await section.write(network);
    await section.end();
  }
  const log = await logOf(ready.job);
  if (log !== undefined) {
    await packFiles(writer, 'files', [{ name: '0', path: ready.job.logPath, size: log.size }]);
  }
  await writer.manifest(manifestOf(wish, memoryBytes, log));
  return { ...(await writer.finish()), memoryBytes };
}

type LogFile = ManifestV1['files'][number];

async function logOf(job: StoredJob): Promise<LogFile | undefined> {
  const found = await stat(job.logPath).catch(() => undefined);
  if (found === undefined || !found.isFile()) return undefined;
  return {
    id: 0,
    path: job.logPath,
    mode: found.mode & 0o777,
    uid: found.uid,
    gid: found.gid,
    size: Math.min(found.size, logBytesMax),
  };
}

function manifestOf(wish: PackWish, memoryBytes: number, log: LogFile | undefined): Manifest {
  const { ready, survey } = wish;
  const { job } = ready;
  const common = {
    id: wish.id,
    epoch: job.epoch + 1,
    createdAt: wish.createdAt,
    source: {
      host: hostname(),
      kernel: release(),
      arch: arch(),
      criuVersion: wish.criuVersion,
      nodeVersion: process.version,
      migrateVersion: wish.migrateVersion,
    },
    processes: survey.processes.map(({ pid, name, uid, capsEffective }) => ({
      pid,
      name,
      uid,
      capsEffective,
    })),
    sockets: survey.sockets,
    ...(wish.socketSettings.length === 0 ? {} : { socketSettings: [...wish.socketSettings] }),
    externals: [],
    files: log === undefined ? [] : [log],
  } satisfies Partial<Manifest>;
  const options = ['tcp-established', 'file-locks', 'link-remap', 'skip-in-flight'] as const;
  if (!isNetnsJob(job.name)) {
    const checkpoint = { criuOptions: [...options] };
    return { ...common, format: { version: 1 }, job: jobOf(job, memoryBytes), checkpoint };
  }
  const checkpoint = { criuOptions: [...options, 'shell-job' as const] };
  const trees = (survey.trees ?? []).map(({ nsPid, group, members }) => {
    return { pid: nsPid, group, pids: members.map((member) => member.nsPid) };
  });
  const netnsJob: ManifestV2['job'] = { ...jobOf(job, memoryBytes), kind: 'l2', trees };
  return { ...common, format: { version: 2 }, job: netnsJob, checkpoint };
}

function jobOf(job: StoredJob, memoryBytes: number): ManifestV1['job'] {
  const common = {
    name: job.name,
    ip: job.ip,
    command: job.command,
    cwd: job.cwd,
    createdAt: job.createdAt,
    hostname: job.hostname,
    cgroupName: job.name,
    initPid: 1,
    memoryBytes,
    ...(job.user === undefined ? {} : { user: job.user }),
    ...(job.rootfs === undefined ? {} : { rootfs: job.rootfs }),
  };
  if (job.kind === 'l3') {
    return {
      ...common,
      kind: 'l3',
      ...(job.dev === undefined ? {} : { dev: job.dev }),
      ...(job.loopback === undefined ? {} : { loopback: job.loopback }),
    };
  }
  return {
    ...common,
    kind: 'l2',
    ...(job.bridge === undefined ? {} : { bridge: job.bridge }),
    ...(job.gateway === undefined ? {} : { gateway: job.gateway }),
  };
}
