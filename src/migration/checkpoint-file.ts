import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { createUndoStack, type UndoStack } from '../base/undo.ts';
import { type BundleFile, createBundleFile, createBundleWriter } from '../bundle/index.ts';
import {
  endFrozen,
  freeze,
  prepareDump,
  type ReadyDump,
  revive,
  shut,
} from '../checkpoint/freeze.ts';
import { packJob, versionFor } from '../checkpoint/pack.ts';
import { dumpWithSockets } from '../checkpoint/sockets/frozen.ts';
import type { SocketReport } from '../checkpoint/sockets/report.ts';
import { removeSourceLock, sourceLockOf } from '../checkpoint/source-lock.ts';
import { surveyJob } from '../checkpoint/survey.ts';
import { checkCriu } from '../criu/check.ts';
import { removeImagesDirectory } from '../criu/images.ts';
import { isoNow, nowMs } from '../host/clock.ts';
import { removeTree } from '../host/files.ts';
import { removeLog } from '../job/control.ts';
import { lockJob } from '../job/lock.ts';
import type { JobRecord } from '../job/record.ts';
import { forgetJob } from '../job/registry.ts';
import type { NetworkState } from '../network/l2/state.ts';
import { dismantlePlace } from '../restore/establish.ts';
import { settingsOfAddresses } from './identity.ts';
import { type Journal, openJournal, removeJournal } from './journal.ts';
import { refusePlan } from './plan.ts';
import { migrateVersion, recoveryOf } from './program.ts';
import { refuseCutOff, refuseStopped } from './recover.ts';
import { resolveJob } from './resolve-job.ts';
import { explainFailure } from './roll-back.ts';
import { packNetwork } from './send-job.ts';
import { openSourceNetwork } from './source-network.ts';

export interface CheckpointResult {
  readonly bytes: number;
  readonly memoryBytes: number;
  readonly frozenMs: number;
  readonly sha256: string;
  /** What the file does not hold of the job's sockets. */
  readonly warnings: readonly string[];
}

/**
 * Puts a running job into a file, the same bytes that a move sends. With `leaveRunning` it goes on;
 * without, it ends once the file is on the disk. Any failure before leaves it running.
 */
export async function checkpointJob(
  name: string,
  file: string,
  options: { readonly leaveRunning: boolean },
): Promise<CheckpointResult> {
  const job = await resolveJob(name);
  const unlock = await lockJob(name);
  try {
    await refuseCutOff(name);
    refuseStopped(job);
    // What CRIU's hook and `recover` go by when we are killed: it is never committed to elsewhere.
    const about = { id: randomBytes(16).toString('hex'), side: 'source', job: name } as const;
    const journal = await openJournal({ ...about, host: hostname(), file: resolve(file) });
    return await undoable(job, journal, (undo) =>
      checkpoint(job, journal, { file, leaveRunning: options.leaveRunning }, undo),
    );
  } finally {
    await unlock();
  }
}

async function undoable<T>(
  job: JobRecord,
  journal: Journal,
  work: (undo: UndoStack) => Promise<T>,
): Promise<T> {
  const undo = createUndoStack();
  try {
    const result = await work(undo);
    await removeJournal(journal.id, 'source');
    return result;
  } catch (error) {
    throw await explainFailure(error, { job, undo, committed: false, journal });
  } finally {
    await journal.close();
  }
}

async function checkpoint(
  job: JobRecord,
  journal: Journal,
  { file, leaveRunning }: { readonly file: string; readonly leaveRunning: boolean },
  undo: UndoStack,
): Promise<CheckpointResult> {
  const { id } = journal;
  await journal.write('prepared');
  const [survey, criu] = await Promise.all([surveyJob(job), checkCriu()]);
  refusePlan(survey.socketReport.impossible, 'source');
  const out = await createBundleFile(file);
  undo.push('bundle file', () => out.discard());
  const lock = sourceLockOf(job, id, job.device, {});
  const ready = await prepareDump(
    {
      ...{ id, job, lock, recover: recoveryOf(job.name), trees: survey.trees },
      addresses: await settingsOfAddresses(job),
    },
    undo,
  );
  const source = await openSourceNetwork(job, undo);
  source.arm();
  const frozenAt = await freeze(ready);
  await shut(ready);
  const [sockets, network] = await Promise.all([
    dumpWithSockets(ready, survey.socketReport),
    source.read(),
  ]);
  let frozenMs = 0;
  if (leaveRunning) {
    await revive(ready);
    undo.forget('freeze');
    frozenMs = nowMs() - frozenAt;
  }
  const read = { survey, socketSettings: sockets.settings, network };
  const written = await writeBundle(out, { ready, id, criuVersion: criu.version, ...read });
  if (!leaveRunning) {
    await endFrozen(ready);
    undo.commit();
    frozenMs = nowMs() - frozenAt;
    await clearAway(ready);
  } else {
    await undo.rollback();
  }
  const { lost: warnings } = sockets;
  return { ...written, frozenMs: Math.round(frozenMs * 10) / 10, warnings };
}

async function writeBundle(
  file: BundleFile,
  what: {
    readonly ready: ReadyDump;
    readonly survey: Awaited<ReturnType<typeof surveyJob>>;
    readonly socketSettings: SocketReport['settings'];
    readonly id: string;
    readonly criuVersion: string;
    readonly network: NetworkState | undefined;
  },
): Promise<Omit<CheckpointResult, 'frozenMs' | 'warnings'>> {
  const createdAt = isoNow();
  const writer = createBundleWriter(
    file,
    { id: what.id, createdAt },
    versionFor(what.ready.job.name),
  );
  const { network, ...rest } = what;
  const { bytes, sha256, memoryBytes } = await packJob(writer, {
    ...rest,
    createdAt,
    migrateVersion,
    network: async () => packNetwork(network, rest.ready),
  });
  await file.commit();
  return { bytes, sha256, memoryBytes };
}

/** The job is in the file now; nothing of it stays on this host. */
async function clearAway({ job, lock, images, work }: ReadyDump): Promise<void> {
  if (lock !== undefined) await removeSourceLock(lock);
  await dismantlePlace(job);
  await removeImagesDirectory(images);
  await removeTree(work);
  await removeLog(job);
  await forgetJob(job.name);
}
