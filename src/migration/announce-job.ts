import type { StoredJob } from '../job/record.ts';
import { parseInterfaceAddress } from '../network/address.ts';
import { readSpeakers, type Speaker } from '../network/l2/wire.ts';
import { deviceFacts } from '../network/l3/identity.ts';
import { announce } from '../network/switchover/announce.ts';
import type { Established } from '../restore/established.ts';

/** Tells the neighbours that a job's addresses live here now; resolves after the last round. */
export async function announceJob({
  speakers,
  netns,
}: Pick<Established, 'speakers' | 'netns'>): Promise<void> {
  const where = netns === undefined ? {} : { netns };
  await Promise.all(speakers().map((speaker) => announce({ ...speaker, ...where }).repeated));
}

/** The same of a job that is in its place already. */
export async function announceHere(job: StoredJob): Promise<void> {
  const found = job.netns === undefined ? await speakerOf(job) : readSpeakers(job.netns);
  const where = job.netns === undefined ? {} : { netns: job.netns };
  await announceJob({ speakers: () => found, ...where });
}

async function speakerOf({ device, ip }: StoredJob): Promise<Speaker[]> {
  const addresses = ip.map((text) => parseInterfaceAddress(text).address);
  const { mac } = await deviceFacts(device);
  return [{ device, mac, addresses }];
}
