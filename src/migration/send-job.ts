import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createBundleWriter, packDocument } from '../bundle/index.ts';
import type { ReadyDump } from '../checkpoint/freeze.ts';
import { packJob, versionFor } from '../checkpoint/pack.ts';
import type { SocketReport } from '../checkpoint/sockets/report.ts';
import { isoNow, nowMs } from '../host/clock.ts';
import { makePrivateDirectory, removeTree } from '../host/files.ts';
import type { NetworkState } from '../network/l2/state.ts';
import type { L3Document } from '../network/l3/settings.ts';
import type { Phases } from './phases.ts';
import type { AgreedPlan } from './plan.ts';
import { migrateVersion } from './program.ts';
import type { Target } from './target-link.ts';

export interface SentJob {
  readonly memoryBytes: number;
  readonly wireBytes: number;
  readonly ms: number;
}

export interface JobToSend {
  readonly id: string;
  readonly ready: ReadyDump;
  readonly plan: AgreedPlan;
  readonly sockets: SocketReport;
  readonly link: Target;
  readonly phases: Phases;
  /** Read in the frozen window, while the images are already on their way. */
  readonly network: Promise<NetworkState | undefined>;
}

/** Streams the bundle; when this resolves, the job stands restored and held on the target. */
export async function sendJob(job: JobToSend): Promise<SentJob> {
  const { link, phases } = job;
  const beganAt = nowMs();
  let receivedAt = beganAt;
  let sent = { memoryBytes: 0, wireBytes: 0 };
  await phases.run('transfer', () =>
    link.send(
      async (write) => {
        sent = await feed(job, write);
      },
      () => {
        receivedAt = nowMs();
      },
    ),
  );
  phases.mark('restore', receivedAt, nowMs());
  return { ...sent, ms: Math.round((receivedAt - beganAt) * 10) / 10 };
}

/** What a small job's images are like: the same number of files, a little of everything. */
const rehearsal = { smallFiles: 24, smallBytes: 2_048, largeBytes: 1_048_576 } as const;

/**
 * Sends made-up images the same way while the job still runs: the first bundle of a process takes
 * four times as long as the second, on both sides, until their code is compiled.
 */
export async function rehearse(job: JobToSend): Promise<void> {
  const images = join(job.ready.work, 'rehearsal');
  await makePrivateDirectory(images);
  try {
    const small = Buffer.alloc(rehearsal.smallBytes);
    for (let number = 0; number < rehearsal.smallFiles; number += 1) {
      await writeFile(join(images, `small-${number}.img`), small);
    }
    await writeFile(join(images, 'pages-1.img'), Buffer.alloc(rehearsal.largeBytes));
    const trees = job.ready.trees.slice(0, 1).map((tree) => ({ ...tree, images }));
    const made = { ...job, ready: { ...job.ready, trees } };
    await job.link.rehearse(async (write) => {
      await feed(made, write);
    });
  } finally {
    await removeTree(images);
  }
}

/** The network section: an l2 job's state, or what an l3 job's addresses have. */
export function packNetwork(
  network: NetworkState | undefined,
  { job, addresses }: Pick<ReadyDump, 'job' | 'addresses'>,
): Uint8Array | undefined {
  if (network !== undefined) return packDocument(network);
  if (addresses === undefined) return undefined;
  const { allow } = job;
  const document: L3Document = {
    version: 1,
    kind: 'l3',
    addresses: [...addresses],
    ...(allow === undefined ? {} : { allow }),
  };
  return packDocument(document);
}

async function feed(
  { id, ready, plan, sockets, phases, network }: JobToSend,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<{ memoryBytes: number; wireBytes: number }> {
  const createdAt = isoNow();
  const sink = {
    async write(bytes: Uint8Array): Promise<void> {
      phases.check();
      await write(bytes);
    },
  };
  const writer = createBundleWriter(sink, { id, createdAt }, versionFor(ready.job.name));
  const { bytes, memoryBytes } = await packJob(writer, {
    ready,
    survey: plan.survey,
    socketSettings: sockets.settings,
    id,
    createdAt,
    criuVersion: plan.criu.version,
    migrateVersion,
    network: async () => packNetwork(await network, ready),
  });
  return { memoryBytes, wireBytes: bytes };
}
