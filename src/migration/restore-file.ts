import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { asMigrateError, MigrateError } from '../base/errors.ts';
import { createUndoStack, type UndoStack } from '../base/undo.ts';
import { readBundleFile } from '../bundle/index.ts';
import { checkCriu } from '../criu/check.ts';
import { makeImagesDirectory, removeImagesDirectory } from '../criu/images.ts';
import { killCgroup } from '../host/cgroup.ts';
import { makePrivateDirectory, removeTree } from '../host/files.ts';
import { installJobInit } from '../job/launch.ts';
import { lockJob } from '../job/lock.ts';
import { paths } from '../job/paths.ts';
import { isNetnsJob, type JobRecord, type StoredJob } from '../job/record.ts';
import { forgetJob, refuseExisting, saveJob } from '../job/registry.ts';
import { establish } from '../restore/establish.ts';
import { ensureLog, placeFiles } from '../restore/files.ts';
import { armHeldRestore } from '../restore/held-job.ts';
import { receiveBundle } from '../restore/receive.ts';
import { setSockets } from '../restore/sockets.ts';
import { announceJob } from './announce-job.ts';
import { jobIdentity, parseMessage } from './protocol.ts';
import { recordOf } from './record-of.ts';
import { refuseCutOff } from './recover.ts';
import { refuseArrival, sweepDeadAgents } from './sweep.ts';

/** A job from a file, and what its sockets did not get back. */
export type RestoredJob = JobRecord & { readonly warnings: readonly string[] };

/** Starts a job from a file, here; nothing stays when it fails. */
export async function restoreJob(
  file: string,
  options: { readonly name?: string } = {},
): Promise<RestoredJob> {
  await checkCriu();
  const undo = createUndoStack();
  const work = join(paths.moves, `${randomBytes(16).toString('hex')}.in`);
  try {
    return await restore(file, options.name, work, undo);
  } catch (error) {
    await undo.rollback();
    throw asMigrateError(error, 'RESTORE_FAILED').with({ side: 'local', phase: 'restore' });
  }
}

async function restore(
  file: string,
  name: string | undefined,
  work: string,
  undo: UndoStack,
): Promise<RestoredJob> {
  undo.push('work directory', () => removeTree(work));
  await makePrivateDirectory(join(work, 'files'));
  await makeImagesDirectory(join(work, 'images'), undo);
  const { manifest, network, l3, socketSettings } = await receiveBundle(readBundleFile(file), work);
  const identity = parseMessage(
    jobIdentity,
    {
      ...identityIn(manifest.job, name ?? manifest.job.name),
      ...(l3 === undefined ? {} : { addresses: l3.addresses, allow: l3.allow }),
    },
    'the job of the bundle',
  );
  const isNetns = isNetnsJob(identity.name);
  if (isNetns !== isNetnsJob(manifest.job.name)) {
    throw new MigrateError('USAGE', 'a namespace keeps a name of the form netns:NAME, a job none');
  }
  await sweepDeadAgents();
  const unlock = await lockJob(identity.name);
  try {
    await refuseCutOff(identity.name);
    await refuseArrival(identity.name);
    await refuseExisting(identity.name, 'restore it with --name');
    // The job has its log open by the name that it was run with.
    if (manifest.job.name !== identity.name) {
      const theirs = `stop that one: both would write to the log of ${manifest.job.name}`;
      await refuseExisting(manifest.job.name, theirs);
    }
    await installJobInit(identity.rootfs ?? '');
    const place = await establish({ ...identity, network }, undo);
    if (!isNetns) await ensureLog(manifest.job.name, undo, identity.rootfs);
    await placeFiles(manifest, join(work, 'files'));
    undo.push('tasks', () => killCgroup(place.cgroup));
    const restoring = await armHeldRestore({
      name: identity.name,
      images: join(work, 'images'),
      work,
      established: place,
      ...(identity.rootfs === undefined ? {} : { rootfs: identity.rootfs }),
      ...('trees' in manifest.job ? { trees: manifest.job.trees } : {}),
    });
    undo.push('held job', () => restoring.discard());
    const held = await restoring.begin();
    const where = { ...place, initPid: held.initPid };
    const warnings = await setSockets(socketSettings, where);
    const job: StoredJob = recordOf(identity, manifest, place, held);
    undo.push('record', () => forgetJob(job.name));
    await saveJob(job);
    await place.goLive();
    await held.resume();
    undo.commit();
    void announceJob(place);
    await removeImagesDirectory(join(work, 'images'));
    await removeTree(work);
    return { ...job, state: 'running', warnings };
  } finally {
    await unlock();
  }
}

/** The fields of the manifest that name the job; the rest of it describes a moment. */
function identityIn(job: object, name: string): Record<string, unknown> {
  const fields = Object.entries(job).filter(([key]) => key in jobIdentity.shape);
  return { ...Object.fromEntries(fields), name };
}
