import { createBundleWriter, packDocument } from '../bundle/index.ts';
import type { ReadyDump } from '../checkpoint/freeze.ts';
import { packJob, versionFor } from '../checkpoint/pack.ts';
import type { SocketReport } from '../checkpoint/sockets/report.ts';
import { isoNow, nowMs } from '../host/clock.ts';
import type { Write } from '../memory/write-records.ts';
import type { NetworkState } from '../network/l2/state.ts';
import type { L3Document } from '../network/l3/settings.ts';
import type { Round } from './events.ts';
import type { Phases } from './phases.ts';
import type { AgreedPlan } from './plan.ts';
import { migrateVersion } from './program.ts';
import { restStream, staleStream } from './protocol.ts';
import { lazyBytesOf, type MemoryToSend, type Packing, sendRound } from './send-memory.ts';
import type { Target } from './target-link.ts';

export interface SentJob {
  /** All of its memory, beside its images and inside of them. */
  readonly memoryBytes: number;
  readonly wireBytes: number;
  /** The round in the frozen window. */
  readonly round: Round;
  /** Memory that follows the job. */
  readonly following?: Promise<Round> | undefined;
}

export interface JobToSend {
  readonly id: string;
  readonly ready: ReadyDump;
  readonly plan: AgreedPlan;
  readonly sockets: SocketReport;
  readonly link: Target;
  readonly phases: Phases;
  /** Memory that comes beside the bundle, and what is left of it. */
  readonly rest?: MemoryToSend | undefined;
  readonly packing: Packing;
  /** Read in the frozen window, while the images are already on their way. */
  readonly network: Promise<NetworkState | undefined>;
}

/** Streams the bundle; when this resolves, the job stands restored and held on the target. */
export async function sendJob(job: JobToSend): Promise<SentJob> {
  const { phases, rest } = job;
  const beganAt = nowMs();
  let receivedAt = beganAt;
  let sent = { memoryBytes: 0, wireBytes: 0 };
  let round: Round | undefined;
  let following: Promise<Round> | undefined;
  await phases.run('transfer', async () => {
    if (rest?.follows === true) await tellStale(job, rest);
    sent = await sendBoth(job, {
      onReceived: () => {
        receivedAt = nowMs();
      },
      onRound: (done) => {
        round = done;
      },
      onFollowing: (rest) => {
        following = rest;
      },
    });
  });
  phases.mark('restore', receivedAt, nowMs());
  const memoryBytes = sent.memoryBytes + (rest === undefined ? 0 : lazyBytesOf(rest.rest));
  const ms = Math.round((receivedAt - beganAt) * 10) / 10;
  const images = {
    kind: 'final',
    memoryBytes: sent.memoryBytes,
    encoding: 'none',
    zeroBytes: 0,
    pausedMs: 0,
  } as const;
  return {
    memoryBytes,
    wireBytes: sent.wireBytes + (round?.wireBytes ?? 0),
    round: round ?? { ...images, wireBytes: sent.wireBytes, ms },
    following,
  };
}

/**
 * The bundle, and the rest of the memory right behind it. Whichever fails ends the wait for the
 * other: a restore waits for pages that no longer come, until it is undone.
 */
async function sendBoth(
  job: JobToSend,
  on: {
    readonly onReceived: () => void;
    readonly onRound: (round: Round) => void;
    readonly onFollowing: (round: Promise<Round>) => void;
  },
): Promise<{ memoryBytes: number; wireBytes: number }> {
  const { link, rest, phases } = job;
  let sent = { memoryBytes: 0, wireBytes: 0 };
  let isFed: () => void = () => undefined;
  const fed = new Promise<void>((resolve) => {
    isFed = resolve;
  });
  const bundle = link.send(async (write) => {
    sent = await feed(job, write).finally(isFed);
  }, on.onReceived);
  if (rest === undefined) {
    await phases.orStopped(bundle);
    return sent;
  }
  const { asked } = rest.memory;
  link.onWanted(asked.ask);
  const send = (writes: readonly Write[]) => rest.memory.send(rest.rest, writes);
  const kind = rest.follows ? 'post-copy' : 'final';
  const memory = fed.then(() => sendRound(job, kind, send, restStream));
  memory.catch(() => undefined);
  bundle.catch(() => undefined);
  // What follows the job must not slow its restore.
  if (!rest.follows) asked.release();
  if (rest.follows) {
    on.onFollowing(memory);
    // Its end is not waited for, its failure is.
    const failed = memory.then(() => bundle);
    await phases.orStopped(Promise.race([bundle, failed]));
  } else {
    const [, round] = await phases.orStopped(Promise.all([bundle, memory]));
    on.onRound(round);
  }
  return sent;
}

async function tellStale(job: JobToSend, { memory, rest }: MemoryToSend): Promise<void> {
  await job.link.sendMemory(staleStream, 'none', (write) => memory.tellStale(rest, write));
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

/** Writes the whole bundle; returns what it came to. */
export async function feed(
  { id, ready, plan, sockets, phases, network }: Omit<JobToSend, 'link' | 'rest' | 'packing'>,
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
