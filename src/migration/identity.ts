import { z } from 'zod';
import type { StoredJob } from '../job/record.ts';
import { parseInterfaceAddress } from '../network/address.ts';
import { type AddressSettings, captureSettings } from '../network/l3/settings.ts';
import { jobIdentity, type PrepareRequest } from './protocol.ts';

/** The same fields, but what else a record holds is left out instead of refused. */
const lenient = z.object(jobIdentity.shape);

/** What the target must know of a job to make ready for it. */
export function identityOf(
  job: StoredJob,
  addresses?: readonly AddressSettings[],
): PrepareRequest['job'] {
  return lenient.parse({ ...job, ...(addresses === undefined ? {} : { addresses }) });
}

/** What an l3 job's addresses have on this host; undefined for l2, whose document says it. */
export async function settingsOfAddresses(job: StoredJob): Promise<AddressSettings[] | undefined> {
  if (job.kind === 'l2') return undefined;
  return captureSettings(job.device, job.ip.map(parseInterfaceAddress));
}
