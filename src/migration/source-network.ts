import type { StoredJob } from '../job/record.ts';
import { captureNetwork, warmCapture } from '../network/l2/capture.ts';
import type { NetworkState } from '../network/l2/state.ts';

/** The network state of an l2 job, or undefined for an l3 job, whose state is its addresses. */
export async function captureOf(job: StoredJob): Promise<NetworkState | undefined> {
  if (job.netns === undefined) return undefined;
  await warmCapture();
  return captureNetwork({ path: job.netns });
}

/** The MAC of a device of the job, as its document has it. */
export function macOf(network: NetworkState | undefined, device: string): string | undefined {
  const link = network?.links.find(({ name }) => name === device);
  return link !== undefined && 'mac' in link ? link.mac : undefined;
}
