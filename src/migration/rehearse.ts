import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makePrivateDirectory, removeTree } from '../host/files.ts';
import type { NetworkState } from '../network/l2/state.ts';
import { feed, type JobToSend } from './send-job.ts';

/** What a small job's images are like: the same number of files, a little of everything. */
const rehearsal = { smallFiles: 24, smallBytes: 2_048, largeBytes: 1_048_576 } as const;

/**
 * Sends made-up images the same way while the job still runs: the first bundle of a process takes
 * four times as long as the second, on both sides, until their code is compiled.
 */
export async function rehearse(
  job: Omit<JobToSend, 'network' | 'sockets' | 'rest' | 'packing'>,
  state: NetworkState | undefined,
): Promise<void> {
  const images = join(job.ready.work, 'rehearsal');
  await makePrivateDirectory(images);
  try {
    const small = Buffer.alloc(rehearsal.smallBytes);
    for (let number = 0; number < rehearsal.smallFiles; number += 1) {
      await writeFile(join(images, `small-${number}.img`), small);
    }
    await writeFile(join(images, 'pages-1.img'), Buffer.alloc(rehearsal.largeBytes));
    const trees = job.ready.trees.slice(0, 1).map((tree) => ({ ...tree, images }));
    const sockets = job.plan.survey.socketReport;
    const network = Promise.resolve(state);
    const made = { ...job, sockets, network, ready: { ...job.ready, trees } };
    await job.link.rehearse(async (write) => {
      await feed(made, write);
    });
  } finally {
    await removeTree(images);
  }
}
