import { hostname } from 'node:os';
import type { UndoStack } from '../base/undo.ts';
import { prepareDump, type ReadyDump } from '../checkpoint/freeze.ts';
import { sourceLockOf } from '../checkpoint/source-lock.ts';
import type { JobRecord } from '../job/record.ts';
import type { NetworkState } from '../network/l2/state.ts';
import { readNeighbours } from '../network/neighbours.ts';
import { identityOf, settingsOfAddresses } from './identity.ts';
import { type AgreedPlan, treesToPrepare } from './plan.ts';
import { recoveryOf } from './program.ts';
import { openSourceNetwork, type SourceNetwork } from './source-network.ts';
import type { Target } from './target-link.ts';

/** Makes both hosts ready for the move, so that the frozen window need not. */
export async function prepare(
  { job, id, undo }: { readonly job: JobRecord; readonly id: string; readonly undo: UndoStack },
  link: Target,
  { survey, answer, memory }: AgreedPlan,
): Promise<{ ready: ReadyDump; network: SourceNetwork; state: NetworkState | undefined }> {
  undo.push('target', () => link.abort(id));
  const network = await openSourceNetwork(job, undo);
  const state = await network.read();
  const lock = sourceLockOf(job, id, job.device, answer);
  const addresses = await settingsOfAddresses(job);
  const { lazy } = memory;
  const [dumping, answered] = await Promise.allSettled([
    prepareDump(
      { id, job, lock, addresses, lazy, recover: recoveryOf(job.name), trees: survey.trees },
      undo,
    ),
    link.prepare({
      id,
      source: hostname(),
      job: identityOf(job, addresses),
      neighbours: await readNeighbours(job),
      ...(state === undefined ? {} : { network: state }),
      lazy,
      ...treesToPrepare(survey.trees),
    }),
  ]);
  // Both have come to an end, so that nothing is made any more while it is undone.
  if (answered.status === 'rejected') throw answered.reason;
  if (dumping.status === 'rejected') throw dumping.reason;
  network.arm();
  return { ready: dumping.value, network, state };
}
