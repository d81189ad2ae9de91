import { z } from 'zod';
import type { StoredJob } from '../job/record.ts';
import { jobIdentity, type PrepareRequest } from './protocol.ts';

/** The same fields, but what else a record holds is left out instead of refused. */
const lenient = z.object(jobIdentity.shape);

/** What the target must know of a job to make ready for it. */
export function identityOf(job: StoredJob): PrepareRequest['job'] {
  return lenient.parse(job);
}
