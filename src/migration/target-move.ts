import { join } from 'node:path';
import { asMigrateError, MigrateError } from '../base/errors.ts';
import type { UndoStack } from '../base/undo.ts';
import type { Manifest } from '../bundle/index.ts';
import { makeImagesDirectory, removeImagesDirectory } from '../criu/images.ts';
import { makePrivateDirectory, removeTree } from '../host/files.ts';
import { installJobInit } from '../job/launch.ts';
import { lockJob } from '../job/lock.ts';
import { paths } from '../job/paths.ts';
import { saveJob } from '../job/registry.ts';
import { diffNetwork } from '../network/l2/diff.ts';
import { type NetworkState, parseNetworkState } from '../network/l2/state.ts';
import { addNeighbours } from '../network/neighbours.ts';
import { establish } from '../restore/establish.ts';
import type { Established } from '../restore/established.ts';
import { ensureLog, placeFiles } from '../restore/files.ts';
import { type ArmedRestore, armHeldRestore, type HeldJob } from '../restore/held-job.ts';
import { receiveBundle } from '../restore/receive.ts';
import { announceJob } from './announce-job.ts';
import { type Journal, openJournal, removeJournal } from './journal.ts';
import type { PrepareRequest } from './protocol.ts';
import { recordOf } from './record-of.ts';

/** The target's half of one move. Before `commit` everything of it can be undone, and is. */
export interface TargetMove {
  readonly id: string;
  prepare(): Promise<void>;
  /** Reads a bundle of made-up images and throws it away. */
  rehearse(source: AsyncIterable<Uint8Array>): Promise<void>;
  /** Reads the bundle, restores the job and holds it. */
  receive(source: AsyncIterable<Uint8Array>, received: () => void): Promise<void>;
  /** The job runs here; there is no way back. */
  commit(tellLive: () => void): Promise<{ initPid: number }>;
  finish(): Promise<void>;
  abort(): Promise<void>;
  /** The source said goodbye or is lost: before the commit that is an abort. */
  connectionEnded(): Promise<void>;
}

export function createTargetMove(request: PrepareRequest, undo: UndoStack): TargetMove {
  const { id } = request;
  const work = join(paths.moves, `${id}.in`);
  let journal: Journal | undefined;
  let established: Established | undefined;
  let restoring: ArmedRestore | undefined;
  let saved: Promise<void> = Promise.resolve();
  let received: { manifest: Manifest; held: HeldJob } | undefined;
  let stage: 'open' | 'committed' | 'resumed' = 'open';
  let announced: Promise<void> = Promise.resolve();
  let unlock: () => Promise<void> = async () => undefined;

  async function rollback(): Promise<void> {
    if (stage !== 'open') return;
    const failures = await undo.rollback();
    await journal?.close();
    await removeJournal(id, 'target');
    await unlock();
    journal = undefined;
    const [first] = failures;
    if (first !== undefined) throw first.with({ side: 'target', phase: 'abort' });
  }

  async function tidyUp(): Promise<void> {
    await saved;
    await expect(established).settle();
    await removeWork(work);
    await journal?.close();
    journal = undefined;
    await unlock();
  }

  return {
    id,
    async prepare() {
      unlock = await lockJob(request.job.name);
      journal = await openTargetJournal(request);
      await journal.write('prepared');
      try {
        ({ established, restoring } = await prepareHost(request, work, undo));
      } catch (error) {
        await rollback().catch(() => undefined);
        throw error;
      }
    },
    rehearse: (source) => rehearse(source, join(work, 'rehearsal'), id),
    async receive(source, tellReceived) {
      received = await restoreHeld(request, work, expect(restoring), { source, tellReceived });
    },
    async commit(tellLive) {
      const { manifest, held } = expect(received);
      const place = expect(established);
      const record = recordOf(request.job, manifest, place, held);
      await expect(journal).write('committed', record);
      stage = 'committed';
      await place.goLive();
      // Before anything is sent on to here: a bridge on the way still knows the old place.
      announced = announceJob(request.job.ip, place);
      tellLive();
      await held.resume();
      stage = 'resumed';
      // The answer goes first: the source holds packets until it has it. The journal has the job.
      setImmediate(() => {
        saved = saveJob(record);
      });
      return { initPid: held.initPid };
    },
    async finish() {
      await tidyUp();
      await removeJournal(id, 'target');
    },
    abort: rollback,
    async connectionEnded() {
      await rollback().catch(() => undefined);
      await saved;
      await announced;
      // A source that was lost after the commit will ask one day: the journal's last word stays.
      if (stage !== 'resumed' || journal === undefined) return;
      await journal.write('running');
      await tidyUp();
    },
  };
}

function openTargetJournal({ id, job, source }: PrepareRequest): Promise<Journal> {
  return openJournal({ id, side: 'target', job: job.name, host: source, identity: job });
}

async function prepareHost(
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

async function removeWork(work: string): Promise<void> {
  await removeImagesDirectory(join(work, 'images'));
  await removeTree(work);
}

/** Reads the bundle, judges it, and restores the job from it, held. */
async function restoreHeld(
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

async function rehearse(
  source: AsyncIterable<Uint8Array>,
  place: string,
  id: string,
): Promise<void> {
  for (const part of ['images', 'files']) await makePrivateDirectory(join(place, part));
  await receiveBundle(source, place, id);
  await removeTree(place);
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

function expect<T>(value: T | undefined): T {
  if (value === undefined) throw new MigrateError('PROTOCOL', 'a call came before its turn');
  return value;
}
