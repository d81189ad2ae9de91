import { lockJob } from '../job/lock.ts';
import { type Journal, openJournal, removeJournal } from './journal.ts';
import type { PrepareRequest } from './protocol.ts';
import { refuseArrival } from './sweep.ts';

/** A job's name on the target, held for one move, and the journal that tells how far it is. */
export interface TargetClaim {
  readonly journal: Journal;
  /** The move is over and leaves no trace. */
  drop(): Promise<void>;
  /** The name is free for the next move; the journal keeps its last word. */
  release(): Promise<void>;
}

/** BUSY while another move holds the name. */
export async function claimOnTarget({ id, job, source }: PrepareRequest): Promise<TargetClaim> {
  const unlock = await lockJob(job.name);
  try {
    await refuseArrival(job.name);
    const about = { id, side: 'target', job: job.name, host: source, identity: job } as const;
    const journal = await openJournal(about);
    return {
      journal,
      async drop() {
        await journal.close();
        await removeJournal(id, 'target');
        await unlock();
      },
      async release() {
        await journal.close();
        await unlock();
      },
    };
  } catch (error) {
    await unlock();
    throw error;
  }
}
