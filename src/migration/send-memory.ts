import { asMigrateError, MigrateError } from '../base/errors.ts';
import type { ReadyDump } from '../checkpoint/freeze.ts';
import {
  countPages,
  type JobMemory,
  type MemoryRound,
  openJobMemory,
} from '../checkpoint/memory.ts';
import { nowMs } from '../host/clock.ts';
import type { Filter } from '../host/filter.ts';
import type { StoredJob } from '../job/record.ts';
import { armPacker, type Encoding, packedAll } from '../memory/codec.ts';
import { memoryLimits } from '../memory/limits.ts';
import type { RestOfMemory } from '../memory/source.ts';
import type { Write } from '../memory/write-records.ts';
import type { ChannelsWish } from './choose-lanes.ts';
import { type MemoryPlan, postCopyWarning } from './choose-mode.ts';
import type { Round } from './events.ts';
import { type CompressWish, measureEncoding, measureLanes } from './measure.ts';
import type { Phases } from './phases.ts';
import type { AgreedPlan } from './plan.ts';
import { nextStep } from './pre-copy.ts';
import { threadOf } from './program.ts';
import { type MemoryStreamName, memoryStream } from './protocol.ts';
import type { Target } from './target-link.ts';

const { pageBytes } = memoryLimits;
/**
 * What a frozen time has besides memory: the same for every job, and what CRIU needs to take each
 * page into a pipe; docs/decisions/0010.
 */
const besides = { ms: 120, msPerByte: 150 / 1024 ** 3 } as const;

/** How the rounds ahead of the freeze ended. */
export interface AheadResult {
  readonly rounds: readonly Round[];
  readonly predictedMs: number | undefined;
  /** Memory follows the job, because nothing else keeps --max-frozen. */
  readonly follows: boolean;
  readonly warnings: readonly string[];
}

/** What memory travels by. */
export interface Way {
  readonly link: Target;
  readonly phases: Phases;
  readonly packing: Packing;
}

/** How it is packed, with a packer that has started already. */
export interface Packing {
  readonly encoding: Encoding;
  /** For so many streams; none when nothing is packed. */
  take(count: number): readonly Filter[];
  /** Starts the packers of the next streams: not while the job is frozen. */
  arm(count: number): void;
  close(): void;
}

export interface WayWish {
  readonly compress?: CompressWish;
  readonly channels?: ChannelsWish;
}

/** Measures link and codec, or does as it was told. */
export async function chooseWay(
  { memory, link, phases }: Omit<Way, 'packing'> & { readonly memory: JobMemory | undefined },
  plan: AgreedPlan,
  { compress = 'auto', channels = 'auto' }: WayWish,
): Promise<Packing> {
  if (memory === undefined) return openPacking('none', 0);
  const { memoryBytes } = plan.survey;
  const what = { memory, link, memoryBytes, canPack: plan.canPack };
  const measure = async (): Promise<Encoding> => {
    await link.openLanes(channels === 'auto' ? await measureLanes(what) : channels);
    return measureEncoding(compress, what);
  };
  const encoding = await phases.run('measure', () => phases.orStopped(measure()));
  return openPacking(encoding, link.lanes.count);
}

function openPacking(encoding: Encoding, count: number): Packing {
  const spare: Filter[] = [];
  const arm = (wanted: number): void => {
    while (encoding === 'zstd' && spare.length < wanted) spare.push(armPacker());
  };
  arm(count);
  return {
    encoding,
    take(wanted) {
      arm(wanted);
      return spare.splice(0, wanted);
    },
    arm,
    close() {
      for (const one of spare) one.cancel();
    },
  };
}

/** The memory of a job that travels beside its images. */
export function openMemory(job: StoredJob, plan: MemoryPlan): JobMemory | undefined {
  return plan.lazy ? openJobMemory(job, plan.tracking, threadOf()) : undefined;
}

/** Sends memory while the job runs, round by round, until a freeze is worth it. */
export async function sendAhead(
  { memory, ...way }: Way & { readonly memory: JobMemory | undefined },
  plan: MemoryPlan,
  maxFrozenMs: number | undefined,
): Promise<AheadResult> {
  const follows = plan.mode === 'post-copy';
  if (memory === undefined || plan.tracking === 'none') {
    return { rounds: [], predictedMs: undefined, follows, warnings: [] };
  }
  return way.phases.run('pre-copy', () => sendRounds({ memory, ...way }, plan, maxFrozenMs));
}

/** What is left of a frozen job's memory. */
export async function restOf(
  { trees }: ReadyDump,
  memory: JobMemory | undefined,
  follows: boolean,
): Promise<MemoryToSend | undefined> {
  if (memory === undefined) return undefined;
  return { memory, rest: await memory.rest(trees[0]?.images ?? '', follows), follows };
}

/** Waits for the memory of a job that runs over there already. */
export async function followUp(
  { id, phases, link }: Pick<Way, 'phases' | 'link'> & { readonly id: string },
  memory: JobMemory | undefined,
  following: Promise<Round> | undefined,
): Promise<Round[]> {
  if (memory === undefined) return [];
  memory.asked.release();
  const rounds = following === undefined ? [] : [await phases.run('post-copy', () => following)];
  await phases.run('finish', () => link.whole(id)).catch(unlessLost);
  return rounds;
}

/** It has all that it needs: a link that fails now keeps nothing from it. */
function unlessLost(error: unknown): void {
  if (asMigrateError(error).code === 'MEMORY_LOST') throw error;
}

export interface MemoryToSend {
  readonly memory: JobMemory;
  readonly rest: RestOfMemory;
  /** It is sent when the job runs over there. */
  readonly follows: boolean;
}

async function sendRounds(
  what: Way & { readonly memory: JobMemory },
  plan: MemoryPlan,
  maxFrozenMs: number | undefined,
): Promise<AheadResult> {
  const follows = plan.mode === 'post-copy';
  const rounds: Round[] = [];
  for (;;) {
    rounds.push(await sendRound(what, 'pre-copy', (writes) => what.memory.ahead(writes)));
    what.packing.arm(what.link.lanes.count);
    const measured = rounds.map(({ memoryBytes, ms }) => ({ sentBytes: memoryBytes, ms }));
    const all = rounds[0]?.memoryBytes ?? 0;
    const fixedMs = besides.ms + besides.msPerByte * all;
    const next = nextStep(measured, plan, { maxFrozenMs, fixedMs });
    const { predictedMs } = next;
    if (next.step === 'freeze') return { rounds, predictedMs, follows, warnings: [] };
    if (next.step === 'round') continue;
    // Memory that follows by plan need not converge, it only has less to follow.
    if (follows) return { rounds, predictedMs, follows, warnings: [] };
    const said = `pre-copy does not converge after ${rounds.length} rounds: ${next.why}`;
    if (maxFrozenMs === undefined) {
      return { rounds, predictedMs, follows: false, warnings: [said] };
    }
    if (plan.mayFollow) {
      what.phases.warn([postCopyWarning]);
      return { rounds, predictedMs, follows: true, warnings: [said] };
    }
    throw new MigrateError(
      'NOT_CONVERGING',
      `${said}; ${predictedMs} ms frozen are to be expected`,
      {
        side: 'source',
        hint: 'allow more with --max-frozen, or let memory follow the job with --mode post-copy',
      },
    );
  }
}

/**
 * A round of memory, measured, by all lanes. What follows a job goes by one, because what it waits
 * for goes first, and is not packed: a packer holds pages back.
 */
export async function sendRound(
  { link, phases, packing }: Way,
  kind: Round['kind'],
  send: (writes: readonly Write[]) => Promise<MemoryRound>,
  name: MemoryStreamName = memoryStream,
): Promise<Round> {
  const from = nowMs();
  let wireBytes = 0;
  let done: MemoryRound | undefined;
  const counted =
    (write: Write): Write =>
    async (bytes) => {
      phases.check();
      wireBytes += bytes.length;
      await write(bytes);
    };
  const follows = kind === 'post-copy';
  const encoding = follows ? 'none' : packing.encoding;
  if (follows) {
    await link.sendMemory(name, encoding, async (write) => {
      done = await send([counted(write)]);
    });
  } else {
    const packers = packing.take(link.lanes.count);
    await link.lanes.send(name, encoding, async (writes) => {
      done = await packedAll(packers, writes.map(counted), send);
    });
  }
  return {
    kind,
    encoding,
    memoryBytes: ((done?.data ?? 0) + (done?.zero ?? 0)) * pageBytes,
    zeroBytes: (done?.zero ?? 0) * pageBytes,
    wireBytes,
    ms: tenth(nowMs() - from),
    pausedMs: tenth(done?.pausedMs ?? 0),
  };
}

/** All of a job's memory that is restored lazily, bytes. */
export function lazyBytesOf(rest: RestOfMemory): number {
  return countPages(rest.all) * pageBytes;
}

function tenth(ms: number): number {
  return Math.round(ms * 10) / 10;
}
