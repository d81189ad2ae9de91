import { rm } from 'node:fs/promises';
import { logPathOf } from '../job/paths.ts';
import { readJob } from '../job/registry.ts';
import { readJournal, removeJournal } from './journal.ts';
import type { InquiryAnswer } from './protocol.ts';
import { sweepDeadAgents } from './sweep.ts';

/** What this host, a target, knows of a move whose source lost its answer. */
export async function inquire(about: {
  readonly id: string;
  readonly job: string;
}): Promise<InquiryAnswer> {
  await sweepDeadAgents();
  const journal = await readJournal(about.id, 'target');
  if (journal?.state === 'lost') return 'lost';
  // It may have ended here since, or have moved on: it ran here all the same.
  if (journal?.state === 'running') return 'running';
  if (journal?.follows === true) return 'unsure';
  if ((await readJob(about.job))?.moveId === about.id) return 'running';
  return journal === undefined ? 'absent' : 'unsure';
}

/** The source knows what became of a move that is over here: nobody asks again. */
export async function forget(id: string): Promise<void> {
  const journal = await readJournal(id, 'target');
  if (journal?.state !== 'running' && journal?.state !== 'lost') return;
  const { state, job, identity } = journal;
  // What a job that was lost here had written here; somebody may have started it anew since.
  if (state === 'lost' && identity !== undefined && (await readJob(job)) === undefined) {
    await rm(logPathOf(job, identity.rootfs), { force: true });
  }
  await removeJournal(id, 'target');
}
