import { join } from 'node:path';
import { asMigrateError } from '../base/errors.ts';
import type { UndoStack } from '../base/undo.ts';
import { paths } from '../job/paths.ts';
import { saveJob } from '../job/registry.ts';
import type { ProcessPages } from '../memory/pages.ts';
import { removeJournal } from './journal.ts';
import {
  type CommitAnswer,
  inTurn,
  type MemoryStreamName,
  type PrepareRequest,
} from './protocol.ts';
import { sweepDeadAgents } from './sweep.ts';
import { createTargetArrival, type TargetArrival } from './target-arrival.ts';
import { claimOnTarget, type TargetClaim } from './target-claim.ts';
import { commitHere, prepareHost, removeWork } from './target-steps.ts';

/** The target's half of one move. Before `commit` everything of it can be undone, and is. */
export interface TargetMove {
  readonly id: string;
  /** A path for the socket of further links: of this move, and gone with it. */
  readonly lanes: string;
  prepare(): Promise<void>;
  /** Reads a bundle of made-up images and throws it away. */
  rehearse(source: AsyncIterable<Uint8Array>): Promise<void>;
  /** Reads the bundle, restores the job and holds it. */
  receive(source: AsyncIterable<Uint8Array>, received: () => void): Promise<void>;
  /** Reads a stream of its memory; after the last one nothing may be missing. */
  receiveMemory(name: MemoryStreamName, source: AsyncIterable<Uint8Array>): Promise<void>;
  /** The job runs here; there is no way back. */
  commit(tellLive: () => void): Promise<CommitAnswer>;
  /** Resolves when the job has all its memory; MEMORY_LOST if it never will. */
  whole(): Promise<void>;
  finish(): Promise<void>;
  abort(): Promise<void>;
  /** The source said goodbye or is lost: before the commit that is an abort. */
  connectionEnded(): Promise<void>;
}

export function createTargetMove(
  request: PrepareRequest,
  undo: UndoStack,
  onWanted: (pages: ProcessPages) => void,
): TargetMove {
  const { id } = request;
  const work = join(paths.moves, `${id}.in`);
  let claim: TargetClaim | undefined;
  let arrival: TargetArrival | undefined;
  const progress: Progress = {
    stage: 'open',
    saved: Promise.resolve(),
    announced: Promise.resolve(),
  };
  let preparing: Promise<void> | undefined;
  let committing: Promise<CommitAnswer> | undefined;

  async function prepare(): Promise<void> {
    claim = await claimOnTarget(request);
    await claim.journal.write('prepared');
    try {
      arrival = await prepareArrival(request, work, undo, onWanted);
    } catch (error) {
      await takeBack().catch(() => undefined);
      throw asMigrateError(error, 'RESTORE_FAILED');
    }
  }

  /** Not while something is still being made, which would stay. */
  async function rollback(): Promise<void> {
    await preparing?.catch(() => undefined);
    await takeBack();
  }

  async function takeBack(): Promise<void> {
    if (progress.stage !== 'open') return;
    const [first] = await undo.rollback();
    await claim?.drop();
    claim = undefined;
    if (first !== undefined) throw first.with({ side: 'target', phase: 'abort' });
  }

  /** The job runs here with all its memory, which the journal says before its traces go. */
  async function tidyUp(): Promise<void> {
    await progress.saved;
    try {
      await inTurn(arrival).whole();
      await inTurn(arrival).settle();
      await claim?.journal.write('running');
      await removeWork(work);
    } finally {
      await claim?.release();
      claim = undefined;
    }
  }

  return {
    id,
    lanes: join(work, 'lanes'),
    prepare() {
      preparing = prepare();
      return preparing;
    },
    rehearse: async (source) => inTurn(arrival).rehearse(source),
    receive: async (source, received) => inTurn(arrival).receive(source, received),
    receiveMemory: async (name, source) => inTurn(arrival).receiveMemory(name, source),
    commit(tellLive) {
      committing = commit(request, { arrival, claim }, progress, tellLive);
      return committing;
    },
    whole: async () => inTurn(arrival).whole(),
    finish: () => tidyUp().then(() => removeJournal(id, 'target')),
    abort: rollback,
    async connectionEnded() {
      // A commit that has begun goes on without a source: CRIU kills what an agent leaves held.
      await committing?.catch(() => undefined);
      await rollback().catch(() => undefined);
      await progress.saved;
      await progress.announced;
      // A source that was lost after the commit will ask one day: the journal's last word stays.
      if (progress.stage !== 'resumed' || claim === undefined) return;
      // What did not go as it should is put in order as if this agent had died.
      await tidyUp().catch(sweepDeadAgents);
    },
  };
}

async function prepareArrival(...wish: Parameters<typeof prepareHost>): Promise<TargetArrival> {
  const [request, work] = wish;
  return createTargetArrival(request, work, await prepareHost(...wish));
}

/** How far the job is, and what of it goes on by itself. */
interface Progress {
  stage: 'open' | 'committed' | 'resumed';
  saved: Promise<void>;
  announced: Promise<void>;
}

async function commit(
  request: PrepareRequest,
  made: { readonly arrival: TargetArrival | undefined; readonly claim: TargetClaim | undefined },
  progress: Progress,
  tellLive: () => void,
): Promise<CommitAnswer> {
  const parts = { ...inTurn(made.arrival).received(), journal: inTurn(made.claim).journal };
  const done = await commitHere(request, parts, {
    committed: () => {
      progress.stage = 'committed';
    },
    tellLive,
  });
  progress.stage = 'resumed';
  progress.announced = done.announced;
  // The answer goes first: the source holds packets until it has it. The journal has the job.
  const later = new Promise<void>((resolve) => setImmediate(resolve));
  progress.saved = later.then(() => saveJob(done.record));
  progress.saved.catch(() => undefined);
  return done.answer;
}
