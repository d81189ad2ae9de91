import { join } from 'node:path';
import { asMigrateError, MigrateError } from '../base/errors.ts';
import type { UndoStack } from '../base/undo.ts';
import type { Manifest } from '../bundle/index.ts';
import { makeImagesDirectory, removeImagesDirectory } from '../criu/images.ts';
import { makePrivateDirectory, removeTree } from '../host/files.ts';
import { installJobInit } from '../job/launch.ts';
import type { StoredJob } from '../job/record.ts';
import { diffNetwork } from '../network/l2/diff.ts';
import { type NetworkState, parseNetworkState } from '../network/l2/state.ts';
import { addNeighbours } from '../network/neighbours.ts';
import { establish } from '../restore/establish.ts';
import type { Established } from '../restore/established.ts';
import { ensureLog, placeFiles } from '../restore/files.ts';
import { type ArmedRestore, armHeldRestore, type HeldJob } from '../restore/held-job.ts';
import { receiveBundle } from '../restore/receive.ts';
import { announceJob } from './announce-job.ts';
import type { Journal } from './journal.ts';
import type { PrepareRequest } from './protocol.ts';
import { recordOf } from './record-of.ts';

/** A host that is ready for a job, with CRIU started and waiting for its images. */
export async function prepareHost(
  request: PrepareRequest,
  work: string,
  undo: UndoStack,
): Promise<{ established: Established; restoring: ArmedRestore }> {
  const { job, id } = request;
  undo.push('work directory', () => removeTree(work));
  await makePrivateDirectory(join(work, 'files'));
  await makeImagesDirectory(join(work, 'images'), undo);
  await installJobInit(job.rootfs ?? '');
  const network = request.network === undefined ? undefined : parseNetworkState(request.network);
  const established = await establish({ ...job, network, mutedBy: id }, undo);
  await addNeighbours(request.neighbours, established.device, established.netns);
  return { established, restoring: await armRestore(request, work, established, undo) };
}

export async function removeWork(work: string): Promise<void> {
  await removeImagesDirectory(join(work, 'images'));
  await removeTree(work);
}

/** Reads the bundle, judges it, and restores the job from it, held. */
export async function restoreHeld(
  request: PrepareRequest,
  work: string,
  restoring: ArmedRestore,
  { source, tellReceived }: { source: AsyncIterable<Uint8Array>; tellReceived: () => void },
): Promise<{ manifest: Manifest; held: HeldJob }> {
  const { manifest, network } = await receiveBundle(source, work, request.id);
  refuseOtherJob(request, manifest);
  tellReceived();
  if (request.job.kind === 'l2') refuseChangedNetwork(request, network);
  await placeFiles(manifest, join(work, 'files'));
  try {
    return { manifest, held: await restoring.begin() };
  } catch (error) {
    throw asMigrateError(error).with({ phase: 'restore' });
  }
}

export async function rehearse(
  source: AsyncIterable<Uint8Array>,
  place: string,
  id: string,
): Promise<void> {
  for (const part of ['images', 'files']) await makePrivateDirectory(join(place, part));
  await receiveBundle(source, place, id);
  await removeTree(place);
}

/**
 * Writes the commit down and lets the job run. From `committed` on there is only forward: nothing
 * that fails on the way to the source may keep the job from running.
 */
export async function commitHere(
  request: PrepareRequest,
  parts: {
    readonly manifest: Manifest;
    readonly held: HeldJob;
    readonly place: Established;
    readonly journal: Journal;
  },
  on: { readonly committed: () => void; readonly tellLive: () => void },
): Promise<{ record: StoredJob; announced: Promise<void> }> {
  const { manifest, held, place, journal } = parts;
  const record = recordOf(request.job, manifest, place, held);
  await journal.write('committed', record);
  on.committed();
  await place.goLive();
  // Before anything is sent on to here: a bridge on the way still knows the old place.
  const announced = announceJob(request.job.ip, place);
  on.tellLive();
  await held.resume();
  return { record, announced };
}

async function armRestore(
  { job }: PrepareRequest,
  work: string,
  established: Established,
  undo: UndoStack,
): Promise<ArmedRestore> {
  await ensureLog(job.name, undo, job.rootfs);
  const restoring = await armHeldRestore({
    name: job.name,
    images: join(work, 'images'),
    work,
    established,
    ...(job.rootfs === undefined ? {} : { rootfs: job.rootfs }),
  });
  undo.push('restore', () => restoring.discard());
  return restoring;
}

function refuseOtherJob(request: PrepareRequest, { job }: Manifest): void {
  if (job.name === request.job.name && job.kind === request.job.kind) return;
  throw new MigrateError('BUNDLE_UNSAFE', 'the bundle holds another job than was prepared');
}

/** The namespace was built before the freeze; what the job changed since must not get lost. */
function refuseChangedNetwork(request: PrepareRequest, captured: NetworkState | undefined): void {
  const built = parseNetworkState(request.network);
  const changes = captured === undefined ? ['no network state came'] : diffNetwork(captured, built);
  if (changes.length === 0) return;
  throw new MigrateError(
    'NETWORK_DIFFERS',
    `the job changed its network during the move: ${changes.slice(0, 3).join('; ')}`,
    { hint: 'move it again' },
  );
}
