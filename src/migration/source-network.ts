import type { UndoStack } from '../base/undo.ts';
import type { StoredJob } from '../job/record.ts';
import { createCapture, warmCapture } from '../network/l2/capture.ts';
import type { NetworkState } from '../network/l2/state.ts';

/** The network state of an l2 job; undefined for an l3 job, whose state is its addresses. */
export interface SourceNetwork {
  read(): Promise<NetworkState | undefined>;
  /** Starts the programs of the next reading, so that no frozen window pays for it. */
  arm(): void;
}

/** What was armed and not used ends with the undo. */
export async function openSourceNetwork(job: StoredJob, undo: UndoStack): Promise<SourceNetwork> {
  if (job.netns === undefined) return { read: async () => undefined, arm: () => undefined };
  await warmCapture();
  const capture = createCapture({ path: job.netns });
  undo.push('armed capture', async () => capture.cancel());
  return capture;
}
