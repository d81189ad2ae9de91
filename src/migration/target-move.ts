import { join } from 'node:path';
import { asMigrateError, MigrateError } from '../base/errors.ts';
import type { UndoStack } from '../base/undo.ts';
import { lockJob } from '../job/lock.ts';
import { paths } from '../job/paths.ts';
import { saveJob } from '../job/registry.ts';
import type { ProcessPages } from '../memory/pages.ts';
import { type Journal, openJournal, removeJournal } from './journal.ts';
import {
  type CommitAnswer,
  type MemoryStreamName,
  type PrepareRequest,
  restStream,
  staleStream,
} from './protocol.ts';
import {
  commitHere,
  prepareHost,
  type ReadyHost,
  type ReceivedJob,
  rehearse,
  removeWork,
  restoreHeld,
} from './target-steps.ts';

/** The target's half of one move. Before `commit` everything of it can be undone, and is. */
export interface TargetMove {
  readonly id: string;
  prepare(): Promise<void>;
  /** Reads a bundle of made-up images and throws it away. */
  rehearse(source: AsyncIterable<Uint8Array>): Promise<void>;
  /** Reads the bundle, restores the job and holds it. */
  receive(source: AsyncIterable<Uint8Array>, received: () => void): Promise<void>;
  /** Reads a stream of its memory; after the last one nothing may be missing. */
  receiveMemory(name: MemoryStreamName, source: AsyncIterable<Uint8Array>): Promise<void>;
  /** The job runs here; there is no way back. */
  commit(tellLive: () => void): Promise<CommitAnswer>;
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
  let journal: Journal | undefined;
  let host: ReadyHost | undefined;
  let saved: Promise<void> = Promise.resolve();
  let received: ReceivedJob | undefined;
  let follows = false;
  let stage: 'open' | 'committed' | 'resumed' = 'open';
  let announced: Promise<void> = Promise.resolve();
  let committing: Promise<CommitAnswer> | undefined;
  let unlock: () => Promise<void> = async () => undefined;

  async function rollback(): Promise<void> {
    if (stage !== 'open') return;
    const [first] = await undo.rollback();
    await journal?.close();
    await removeJournal(id, 'target');
    await unlock();
    journal = undefined;
    if (first !== undefined) throw first.with({ side: 'target', phase: 'abort' });
  }

  async function commit(tellLive: () => void): Promise<CommitAnswer> {
    const parts = { ...expect(received), journal: expect(journal) };
    const done = await commitHere(request, parts, {
      committed: () => {
        stage = 'committed';
      },
      tellLive,
    });
    stage = 'resumed';
    announced = done.announced;
    // The answer goes first: the source holds packets until it has it. The journal has the job.
    saved = new Promise<void>((resolve) => setImmediate(resolve)).then(() => saveJob(done.record));
    saved.catch(() => undefined);
    return done.answer;
  }

  async function tidyUp(): Promise<void> {
    await saved;
    await expect(host).established.settle();
    await expect(host).memory?.settled;
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
        host = await prepareHost(request, work, undo, onWanted);
      } catch (error) {
        await rollback().catch(() => undefined);
        throw asMigrateError(error, 'RESTORE_FAILED');
      }
    },
    rehearse: (source) => rehearse(source, join(work, 'rehearsal'), id),
    async receive(source, tellReceived) {
      try {
        received = await restoreHeld(request, work, expect(host), {
          ...{ source, tellReceived, follows },
        });
      } catch (error) {
        host?.memory?.fail(error);
        throw error;
      }
    },
    async receiveMemory(name, source) {
      const memory = expect(expect(host).memory);
      await memory.receive(source);
      if (name === staleStream) follows = true;
      if (name !== restStream) return;
      await memory.complete();
      if (!follows) memory.open();
    },
    commit(tellLive) {
      committing = commit(tellLive);
      return committing;
    },
    finish: () => tidyUp().then(() => removeJournal(id, 'target')),
    abort: rollback,
    async connectionEnded() {
      // A commit that has begun goes on without a source: CRIU kills what an agent leaves held.
      await committing?.catch(() => undefined);
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

function expect<T>(value: T | undefined): T {
  if (value === undefined) throw new MigrateError('PROTOCOL', 'a call came before its turn');
  return value;
}
