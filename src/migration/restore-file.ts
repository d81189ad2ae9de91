import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { asMigrateError } from '../base/errors.ts';
import { createUndoStack, type UndoStack } from '../base/undo.ts';
import { readBundleFile } from '../bundle/index.ts';
import { checkCriu } from '../criu/check.ts';
import { makeImagesDirectory, removeImagesDirectory } from '../criu/images.ts';
import { makePrivateDirectory, removeTree } from '../host/files.ts';
import { installJobInit } from '../job/launch.ts';
import { lockJob } from '../job/lock.ts';
import { paths } from '../job/paths.ts';
import { type JobRecord, jobName, type StoredJob } from '../job/record.ts';
import { forgetJob, refuseExisting, saveJob } from '../job/registry.ts';
import { establish } from '../restore/establish.ts';
import { ensureLog, placeFiles } from '../restore/files.ts';
import { armHeldRestore } from '../restore/held-job.ts';
import { receiveBundle } from '../restore/receive.ts';
import { announceJob } from './announce-job.ts';
import { jobIdentity, parseMessage } from './protocol.ts';
import { recordOf } from './record-of.ts';
import { refuseCutOff } from './recover.ts';

/** Starts a job from a file, here; nothing stays when it fails. */
export async function restoreJob(
  file: string,
  options: { readonly name?: string } = {},
): Promise<JobRecord> {
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
): Promise<JobRecord> {
  undo.push('work directory', () => removeTree(work));
  await makePrivateDirectory(join(work, 'files'));
  await makeImagesDirectory(join(work, 'images'), undo);
  const { manifest, network } = await receiveBundle(readBundleFile(file), work);
  const identity = parseMessage(
    jobIdentity,
    identityIn(manifest.job, name === undefined ? manifest.job.name : jobName.parse(name)),
    'the job of the bundle',
  );
  const unlock = await lockJob(identity.name);
  try {
    await refuseCutOff(identity.name);
    await refuseExisting(identity.name, 'restore it with --name');
    // The job has its log open by the name that it was run with.
    if (manifest.job.name !== identity.name) {
      const theirs = `stop that one: both would write to the log of ${manifest.job.name}`;
      await refuseExisting(manifest.job.name, theirs);
    }
    await installJobInit(identity.rootfs ?? '');
    const place = await establish({ ...identity, network }, undo);
    await ensureLog(manifest.job.name, undo, identity.rootfs);
    await placeFiles(manifest, join(work, 'files'));
    const restoring = await armHeldRestore({
      name: identity.name,
      images: join(work, 'images'),
      work,
      established: place,
      ...(identity.rootfs === undefined ? {} : { rootfs: identity.rootfs }),
    });
    undo.push('held job', () => restoring.discard());
    const held = await restoring.begin();
    const job: StoredJob = recordOf(identity, manifest, place, held);
    undo.push('record', () => forgetJob(job.name));
    await saveJob(job);
    await place.goLive();
    await held.resume();
    undo.commit();
    void announceJob(identity.ip, place);
    await removeImagesDirectory(join(work, 'images'));
    await removeTree(work);
    return { ...job, state: 'running' };
  } finally {
    await unlock();
  }
}

/** The fields of the manifest that name the job; the rest of it describes a moment. */
function identityIn(job: object, name: string): Record<string, unknown> {
  const fields = Object.entries(job).filter(([key]) => key in jobIdentity.shape);
  return { ...Object.fromEntries(fields), name };
}
