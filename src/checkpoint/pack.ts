import { stat } from 'node:fs/promises';
import { arch, hostname, release } from 'node:os';
import {
  type BundleSummary,
  type BundleWriter,
  type ManifestV1,
  packDirectory,
  packFiles,
} from '../bundle/index.ts';
import { pageBytesOf } from '../criu/images.ts';
import type { StoredJob } from '../job/record.ts';
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
  /** The network state of an l2 job, packed; it is still being read while images travel. */
  network(): Promise<Uint8Array | undefined>;
}

/** Writes the whole bundle of a dumped job and says how much of it was memory, in bytes. */
export async function packJob(
  writer: BundleWriter,
  wish: PackWish,
): Promise<BundleSummary & { readonly memoryBytes: number }> {
  const { ready } = wish;
  const images = await packDirectory(writer, 'images', ready.images);
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
  const memoryBytes = pageBytesOf(images.files);
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

function manifestOf(wish: PackWish, memoryBytes: number, log: LogFile | undefined): ManifestV1 {
  const { ready, survey } = wish;
  const { job } = ready;
  return {
    format: { version: 1 },
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
    job: jobOf(job, memoryBytes),
    processes: survey.processes.map(({ pid, name, uid, capsEffective }) => ({
      pid,
      name,
      uid,
      capsEffective,
    })),
    sockets: survey.sockets,
    externals: [],
    files: log === undefined ? [] : [log],
    checkpoint: { criuOptions: ['tcp-established', 'file-locks', 'link-remap', 'skip-in-flight'] },
  };
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
