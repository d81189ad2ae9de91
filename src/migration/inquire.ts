import { readJob } from '../job/registry.ts';
import { readJournals } from './journal.ts';
import type { InquiryAnswer } from './protocol.ts';
import { sweepDeadAgents } from './sweep.ts';

/** What this host, a target, knows of a move whose source lost its answer. */
export async function inquire(about: {
  readonly id: string;
  readonly job: string;
}): Promise<InquiryAnswer> {
  const job = await readJob(about.job);
  if (job?.moveId === about.id && job.state !== 'ended') return 'running';
  await sweepDeadAgents();
  const journals = await readJournals();
  const open = journals.some(({ id, side }) => id === about.id && side === 'target');
  return open ? 'unsure' : 'absent';
}
