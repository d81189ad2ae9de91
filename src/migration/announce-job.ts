import { announce } from '../network/switchover/announce.ts';
import type { Established } from '../restore/established.ts';

/** Tells the neighbours that a job's addresses live here now; resolves after the last round. */
export async function announceJob({ speakers, netns }: Established): Promise<void> {
  const where = netns === undefined ? {} : { netns };
  await Promise.all(speakers().map((speaker) => announce({ ...speaker, ...where }).repeated));
}
