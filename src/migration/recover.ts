import { join } from 'node:path';
import { asMigrateError, type JobLocation, MigrateError } from '../base/errors.ts';
import { removePartialBundle } from '../bundle/index.ts';
import { scatterTrees } from '../checkpoint/netns/gather.ts';
import { removeSourceLock, reopen, sourceLockOf, takeHeldBack } from '../checkpoint/source-lock.ts';
import { removeImagesDirectory } from '../criu/images.ts';
import { criuIsGone } from '../criu/process.ts';
import { isFrozen, killCgroup, thawCgroup } from '../host/cgroup.ts';
import { poll } from '../host/clock.ts';
import { removeTree } from '../host/files.ts';
import { removeLog } from '../job/control.ts';
import { lockJob } from '../job/lock.ts';
import { paths } from '../job/paths.ts';
import { isNetnsJob, type JobRecord } from '../job/record.ts';
import { forgetJob, readJob } from '../job/registry.ts';
import { dismantlePlace } from '../restore/establish.ts';
import { announceHere } from './announce-job.ts';
import {
  type JournalEntry,
  openJournal,
  readJournal,
  readJournals,
  removeJournal,
} from './journal.ts';
import type { InquiryAnswer } from './protocol.ts';
import { type Fate, sweepDeadAgents } from './sweep.ts';
import { connectTarget } from './target-link.ts';

export interface Recovery {
  readonly job: string;
  readonly id: string;
  /** `lost`: it ran on the target, which killed it because its memory did not follow. */
  readonly action: 'rolled-back' | 'finished' | 'lost' | 'nothing';
  readonly location: JobLocation;
}

/**
 * What becomes of the frozen copy of a job that was lost after it had run on the target: it goes on
 * from the freeze, so that what the job did since is done again, or it ends.
 */
export type LostWish = 'resume' | 'end';

export interface MoveStatus {
  readonly job: string;
  readonly id: string;
  readonly target: string;
  readonly state: string;
  readonly location: JobLocation;
}

/** A criu whose coordinator died puts the job back by itself; it is waited for. */
const criuTimeoutMs = 10_000;
const pollStepMs = 20;

/** Every move of this host that is under way or was cut off. */
export async function listMoves(): Promise<MoveStatus[]> {
  const moves: MoveStatus[] = [];
  for (const entry of await readJournals()) {
    if (entry.side !== 'source') continue;
    const job = await readJob(entry.job);
    moves.push({
      job: entry.job,
      id: entry.id,
      target: entry.host,
      state: entry.state,
      location: await locate(job),
    });
  }
  return moves;
}

/**
 * Finishes or undoes the moves of this host that were cut off; may be called again at any time.
 * What the journal says decides: without a commit the job goes on here; with one the target is
 * asked. HALTED_UNKNOWN while the target cannot be reached: the job stays frozen, as it does if it
 * was lost over there and `lost` does not say what becomes of it. `tell` hears of each as it is
 * done; one that fails keeps no other from it, and is thrown at the end.
 */
export async function recoverJobs(
  name: string | undefined,
  tell: (recovery: Recovery) => void,
  lost?: LostWish,
): Promise<void> {
  for (const { job, id, fate } of await sweepDeadAgents()) {
    if (name === undefined || job === name) tell({ job, id, ...swept[fate] });
  }
  let failure: MigrateError | undefined;
  for (const entry of await readJournals()) {
    if (entry.side !== 'source' || (name !== undefined && entry.job !== name)) continue;
    try {
      const recovery = await recoverOne(entry, lost);
      if (recovery !== undefined) tell(recovery);
    } catch (error) {
      failure ??= asMigrateError(error);
    }
  }
  if (failure !== undefined) throw failure;
}

/** What a target has to tell of a move whose agent died. */
const swept: Readonly<Record<Fate, Pick<Recovery, 'action' | 'location'>>> = {
  ran: { action: 'finished', location: 'target-running' },
  never: { action: 'rolled-back', location: 'source-running' },
  lost: { action: 'lost', location: 'source-frozen' },
};

/** undefined: it ended while we waited for its lock. */
async function recoverOne(
  { id, job }: JournalEntry,
  lost: LostWish | undefined,
): Promise<Recovery | undefined> {
  const unlock = await lockJob(job);
  try {
    const entry = await readJournal(id, 'source');
    return entry === undefined ? undefined : await recover(entry, lost);
  } finally {
    await unlock();
  }
}

async function recover(entry: JournalEntry, wish: LostWish | undefined): Promise<Recovery> {
  const { id } = entry;
  await poll(() => criuIsGone(id), criuTimeoutMs, pollStepMs);
  if (entry.file !== undefined) await removePartialBundle(entry.file);
  const job = await readJob(entry.job);
  if (job === undefined) {
    await clean(id, undefined);
    // A namespace that was not registered yet was not touched either.
    const location = isNetnsJob(entry.job) ? 'source-running' : 'unknown';
    return { job: entry.job, id, action: 'nothing', location };
  }
  const fate = await fateOf(entry);
  if (fate === 'running') {
    await leave(entry, job);
    return { job: job.name, id, action: 'finished', location: 'target-running' };
  }
  if (fate !== 'lost' || job.state === 'ended' || wish === 'resume') {
    return goOn(entry, job, fate === 'lost');
  }
  if (wish === undefined) return { job: job.name, id, action: 'lost', location: 'source-frozen' };
  await leave(entry, job);
  return { job: job.name, id, action: 'finished', location: 'ended' };
}

/** The job goes on here, from the freeze if it had been frozen. */
async function goOn(entry: JournalEntry, job: JobRecord, wasThere: boolean): Promise<Recovery> {
  const { id } = entry;
  await takeHeldBack(job, join(paths.moves, id));
  await reopen(sourceLockOf(job, id, job.device, {}));
  await thawCgroup(job.cgroup);
  // Its neighbours have heard that it lives elsewhere.
  if (wasThere) await announceHere(job);
  await clean(id, job);
  // Looked up first: a namespace that no move had brought is forgotten with it.
  const location = await locate(job);
  await scatterTrees(job);
  if (wasThere) await forgottenBy(entry);
  return { job: job.name, id, action: 'rolled-back', location };
}

/** From the commit on only the target knows; `halted` is what a lost answer leaves. */
const openStates: ReadonlySet<string> = new Set(['committed', 'halted']);

/** What the target has told, written down, or tells now; only its own word decides. */
async function fateOf(entry: JournalEntry): Promise<Exclude<InquiryAnswer, 'unsure'>> {
  if (entry.state === 'running' || entry.state === 'lost') return entry.state;
  if (!openStates.has(entry.state)) return 'absent';
  const found = await askTarget(entry);
  if (found === 'lost') {
    const { id, job, host } = entry;
    const journal = await openJournal({ id, side: 'source', job, host });
    await journal.write('lost');
    await journal.close();
  }
  return found;
}

/** One that can't be reached now keeps a line in its journal. */
async function forgottenBy({ host, id }: JournalEntry): Promise<void> {
  try {
    const target = await connectTarget(host);
    await target.forget(id).finally(() => target.close());
  } catch {
    // The move has ended here all the same.
  }
}

/** The copy here ends, and every trace of it goes. */
async function leave(entry: JournalEntry, job: JobRecord): Promise<void> {
  await killCgroup(job.cgroup);
  await clean(entry.id, job);
  await dismantlePlace(job);
  await removeLog(job);
  await forgetJob(job.name);
  await forgottenBy(entry);
}

/** No answer leaves everything as it is. */
async function askTarget(entry: JournalEntry): Promise<Exclude<InquiryAnswer, 'unsure'>> {
  try {
    const target = await connectTarget(entry.host);
    try {
      const found = await target.inquire({ id: entry.id, job: entry.job });
      if (found === 'unsure') {
        throw new MigrateError('HALTED_UNKNOWN', `${entry.host} has not finished the move either`);
      }
      return found;
    } finally {
      await target.close();
    }
  } catch (error) {
    const cause = asMigrateError(error);
    throw new MigrateError('HALTED_UNKNOWN', `${entry.host} does not say: ${cause.message}`, {
      location: 'unknown',
      hint: `when ${entry.host} is back: migrate recover ${entry.job}`,
      cause,
    });
  }
}

async function clean(id: string, job: JobRecord | undefined): Promise<void> {
  if (job !== undefined) await removeSourceLock(sourceLockOf(job, id, job.device, {}));
  await removeImagesDirectory(join(paths.moves, id, 'images'));
  await removeTree(join(paths.moves, id));
  await removeJournal(id, 'source');
}

async function locate(job: JobRecord | undefined): Promise<JobLocation> {
  if (job === undefined) return 'unknown';
  if (job.state === 'ended') return 'ended';
  return (await isFrozen(job.cgroup)) ? 'source-frozen' : 'source-running';
}

/** JOB_NOT_RUNNING for a job that has ended, or that somebody has frozen. */
export function refuseStopped({ name, state }: JobRecord): void {
  if (state !== 'ended' && state !== 'frozen') return;
  const location = state === 'ended' ? 'ended' : 'source-frozen';
  const said = `job ${name} ${state === 'ended' ? 'has ended' : 'is frozen'}`;
  throw new MigrateError('JOB_NOT_RUNNING', said, { side: 'source', location });
}

/** PLAN_REFUSED while a move of that job was cut off here: its lock would still drop packets. */
export async function refuseCutOff(name: string): Promise<void> {
  const entries = await readJournals();
  if (!entries.some(({ job, side }) => job === name && side === 'source')) return;
  throw new MigrateError('PLAN_REFUSED', `an earlier move of ${name} was cut off on this host`, {
    hint: `type \`migrate recover ${name}\` there`,
  });
}
