import { readJob } from '../job/registry.ts';
import { readJournal } from './journal.ts';
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
