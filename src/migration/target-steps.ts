import { join } from 'node:path';
import { asMigrateError, MigrateError } from '../base/errors.ts';
import type { UndoStack } from '../base/undo.ts';
import type { Manifest } from '../bundle/index.ts';
import { makeImagesDirectory, removeImagesDirectory } from '../criu/images.ts';
import { killCgroup } from '../host/cgroup.ts';
import { makePrivateDirectory, removeTree } from '../host/files.ts';
import { installJobInit } from '../job/launch.ts';
import { isNetnsJob, type StoredJob } from '../job/record.ts';
import type { ProcessPages } from '../memory/pages.ts';
import { type NetworkState, parseNetworkState } from '../network/l2/state.ts';
import { addNeighbours } from '../network/neighbours.ts';
import { establish } from '../restore/establish.ts';
import type { Established } from '../restore/established.ts';
import { ensureLog, placeFiles } from '../restore/files.ts';
import { type ArmedRestore, armHeldRestore, type HeldJob } from '../restore/held-job.ts';
import { madePathOf } from '../restore/made.ts';
import { type ArrivingMemory, openArrivingMemory } from '../restore/memory.ts';
import { receiveBundle } from '../restore/receive.ts';
import { setSockets } from '../restore/sockets.ts';
import { announceJob } from './announce-job.ts';
import type { Journal } from './journal.ts';
import { type CommitAnswer, type PrepareRequest, warningsMax } from './protocol.ts';
import { recordOf } from './record-of.ts';

/** A host that is ready for a job, with CRIU started and waiting for its images. */
export interface ReadyHost {
  readonly established: Established;
  readonly restoring: ArmedRestore;
  /** Of a job whose memory comes beside its bundle. */
  readonly memory: ArrivingMemory | undefined;
}

export async function prepareHost(
  request: PrepareRequest,
  work: string,
  undo: UndoStack,
  onWanted: (pages: ProcessPages) => void,
): Promise<ReadyHost> {
  const { job, id } = request;
  undo.push('work directory', () => removeTree(work));
  await makePrivateDirectory(join(work, 'files'));
  await makeImagesDirectory(join(work, 'images'), undo);
  await installJobInit(job.rootfs ?? '');
  const network = request.network === undefined ? undefined : parseNetworkState(request.network);
  const established = await establish(
    { ...job, network, mutedBy: id, made: madePathOf(work) },
    undo,
  );
  addNeighbours(request.neighbours, established.device, established.netns);
  const { cgroup } = established;
  const images = join(work, 'images');
  const memory = request.lazy
    ? await openArrivingMemory({ work, images, cgroup, onWanted }, undo)
    : undefined;
  return { established, memory, restoring: await armRestore(request, work, established, undo) };
}

export async function removeWork(work: string): Promise<void> {
  await removeImagesDirectory(join(work, 'images'));
  await removeTree(work);
}

/** A job that stands here restored and held. */
export interface ReceivedJob {
  readonly manifest: Manifest;
  readonly held: HeldJob;
  readonly place: Established;
  /** What its sockets did not get back. */
  readonly warnings: readonly string[];
  /** It runs before its memory is there. */
  readonly follows: boolean;
}

/** Reads the bundle, judges it, and restores the job from it, held. */
export async function restoreHeld(
  request: PrepareRequest,
  work: string,
  { established, restoring, memory }: ReadyHost,
  from: {
    readonly source: AsyncIterable<Uint8Array>;
    readonly tellReceived: () => void;
    readonly follows: boolean;
  },
): Promise<ReceivedJob> {
  const { manifest, network, socketSettings } = await receiveBundle(from.source, work, request.id);
  refuseOtherJob(request, manifest);
  from.tellReceived();
  await updatePlace(established, network);
  try {
    await placeFiles(manifest, join(work, 'files'));
    await memory?.expect(join(work, 'images'));
    if (from.follows) memory?.open();
    const held = await restoring.begin();
    const warnings = await setSockets(socketSettings, { ...established, initPid: held.initPid });
    return { manifest, held, place: established, warnings, follows: from.follows };
  } catch (error) {
    throw asMigrateError(error, 'RESTORE_FAILED').with({ phase: 'restore' });
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
  parts: ReceivedJob & {
    readonly journal: Journal;
  },
  on: { readonly committed: () => void; readonly tellLive: () => void },
): Promise<{ record: StoredJob; answer: CommitAnswer; announced: Promise<void> }> {
  const { manifest, held, place, journal, warnings, follows } = parts;
  const record = recordOf(request.job, manifest, place, held);
  const ends = place.ends === undefined ? {} : { ends: [...place.ends] };
  await journal.write('committed', { record, follows, ...ends });
  on.committed();
  // Again: what was used meanwhile was asked for in vain.
  if (place.netns !== undefined) addNeighbours(request.neighbours, place.device, place.netns);
  await place.goLive();
  // Before anything is sent on to here: a bridge on the way still knows the old place.
  const announced = announceJob(place);
  on.tellLive();
  await held.resume();
  const answer = { initPid: record.initPid, warnings: warnings.slice(0, warningsMax) };
  return { record, answer, announced };
}

async function armRestore(
  { job, trees, lazy }: PrepareRequest,
  work: string,
  established: Established,
  undo: UndoStack,
): Promise<ArmedRestore> {
  // The programs of a namespace that somebody else made write wherever they like.
  if (!isNetnsJob(job.name)) await ensureLog(job.name, undo, job.rootfs);
  undo.push('tasks', () => killCgroup(established.cgroup));
  const restoring = await armHeldRestore({
    name: job.name,
    images: join(work, 'images'),
    work,
    established,
    ...(job.rootfs === undefined ? {} : { rootfs: job.rootfs }),
    trees,
    lazy,
  });
  undo.push('restore', () => restoring.discard());
  return restoring;
}

function refuseOtherJob(request: PrepareRequest, { job }: Manifest): void {
  if (job.name === request.job.name && job.kind === request.job.kind) return;
  throw new MigrateError('BUNDLE_UNSAFE', 'the bundle holds another job than was prepared');
}

/** The namespace was built before the freeze: what has changed since comes now. */
async function updatePlace(place: Established, network: NetworkState | undefined): Promise<void> {
  if (place.update === undefined) return;
  if (network === undefined) throw new MigrateError('BUNDLE_UNSAFE', 'no network state came');
  await place.update(network);
}
