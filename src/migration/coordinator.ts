import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { createUndoStack, type UndoStack } from '../base/undo.ts';
import { freeze, shut } from '../checkpoint/freeze.ts';
import type { JobMemory } from '../checkpoint/memory.ts';
import { dumpWithSockets } from '../checkpoint/sockets/frozen.ts';
import { nowMs } from '../host/clock.ts';
import { lockJob } from '../job/lock.ts';
import type { JobRecord } from '../job/record.ts';
import { createBandwidth } from './bandwidth.ts';
import type { ChannelsWish } from './choose-lanes.ts';
import { warningsOf } from './choose-mode.ts';
import type { MoveEvent, MoveMode, MoveResult, Round } from './events.ts';
import { type Journal, openJournal } from './journal.ts';
import { leaveSource, releaseOf } from './leave-source.ts';
import type { CompressWish } from './measure.ts';
import { createPhases, type PhaseOptions, type Phases } from './phases.ts';
import { type AgreedPlan, planMove } from './plan.ts';
import { prepare } from './prepare.ts';
import { refuseCutOff, refuseStopped } from './recover.ts';
import { rehearse } from './rehearse.ts';
import { resolveJob } from './resolve-job.ts';
import { explainFailure } from './roll-back.ts';
import { type SentJob, sendJob } from './send-job.ts';
import {
  type AheadResult,
  chooseWay,
  followUp,
  openMemory,
  type Packing,
  restOf,
  sendAhead,
} from './send-memory.ts';
import { connectTarget, type Target } from './target-link.ts';

export interface MoveOptions {
  readonly mode: MoveMode;
  /** How memory is packed for the wire; `auto` unless said. */
  readonly compress?: CompressWish;
  /** How many SSH channels memory goes by; `auto` unless said. */
  readonly channels?: ChannelsWish;
  /** What the move may take of the link. */
  readonly bytesPerSecond?: number;
  /** How long the job may stand still, milliseconds; memory goes its way accordingly. */
  readonly maxFrozenMs?: number;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  onEvent(event: MoveEvent): void;
}

/**
 * Moves a running job to another host, live. Rejects with where the job is: before the commit any
 * failure leaves it running here, same connections; after it there is only forward.
 */
export async function moveJob(
  name: string,
  host: string,
  options: MoveOptions,
): Promise<MoveResult> {
  const job = await resolveJob(name);
  const unlock = await lockJob(job.name);
  try {
    await refuseCutOff(name);
    refuseStopped(job);
    const id = randomBytes(16).toString('hex');
    options.onEvent({ type: 'begin', id, job: name, kind: job.kind, target: host });
    const undo = createUndoStack();
    return await move({ job, host, id, phases: createPhases(options), undo, wish: options });
  } finally {
    await unlock();
  }
}

interface Move {
  readonly job: JobRecord;
  readonly host: string;
  readonly id: string;
  readonly phases: Phases;
  readonly undo: UndoStack;
  readonly wish: Omit<MoveOptions, keyof PhaseOptions>;
}

/** The protocol: prepare, pre-copy, freeze, ship, restore, held; COMMIT; run, release. */
async function move(context: Move): Promise<MoveResult> {
  const { job, host, id, phases, undo, wish } = context;
  let target: Target | undefined;
  let journal: Journal | undefined;
  let memory: JobMemory | undefined;
  let packing: Packing | undefined;
  const bandwidth = createBandwidth(wish.bytesPerSecond);
  let committed = false;
  try {
    target = await phases.run('connect', () => connectTarget(host, bandwidth));
    const link = target;
    const plan = await phases.run('plan', () => planMove(job, link, wish));
    phases.warn([...plan.survey.socketReport.lost, ...warningsOf(plan.memory)]);
    journal = await openJournal({ id, side: 'source', job: job.name, host });
    await journal.write('prepared');
    const prepared = await phases.run('prepare', () => prepare(context, link, plan));
    const { ready, network } = prepared;
    memory = openMemory(job, plan.memory);
    packing = await chooseWay({ memory, link, phases }, plan, wish);
    const way = { link, phases, packing };
    const ahead = await sendAhead({ memory, ...way }, plan.memory, wish.maxFrozenMs);
    await phases.run('rehearse', () => rehearse({ id, ready, plan, link, phases }, prepared.state));

    const frozenAt = await phases.run('freeze', () => freeze(ready));
    await phases.run('lock', () => shut(ready));
    const state = network.read();
    state.catch(() => undefined);
    const sockets = await phases.run('dump', () =>
      dumpWithSockets(ready, plan.survey.socketReport),
    );
    const rest = await restOf(ready, memory, ahead.follows);
    const sent = await sendJob({ id, ready, plan, sockets, ...way, rest, network: state });

    await phases.run('commit', async () => {
      phases.check();
      phases.pointOfNoReturn();
      await journal?.write('committed');
      committed = true;
    });
    const release = releaseOf(ready);
    const notSet = await phases.run('resume', () => link.commit(id, release.begin));
    const frozenMs = nowMs() - frozenAt;
    const followed = await followUp({ id, phases, link }, memory, sent.following);
    const left = await leaveSource({ id, ready, release, link, phases, journal });
    const warnings = [...ahead.warnings, ...sockets.lost, ...notSet, ...left.warnings];
    const rounds = [...ahead.rounds, sent.round, ...followed];
    const took = { frozenMs, rounds, ahead, channels: link.lanes.count };
    return resultOf(context, plan, sent, took, { ...left, warnings });
  } catch (error) {
    throw await explainFailure(error, { job, undo, committed, journal });
  } finally {
    packing?.close();
    await memory?.close();
    await journal?.close();
    await target?.close();
  }
}

function resultOf(
  { job, id, phases }: Move,
  plan: AgreedPlan,
  sent: SentJob,
  took: {
    readonly frozenMs: number;
    readonly rounds: readonly Round[];
    readonly ahead: AheadResult;
    readonly channels: number;
  },
  left: Pick<MoveResult, 'warnings' | 'packets'>,
): MoveResult {
  const { rounds, ahead } = took;
  const earlier = ahead.rounds.reduce((sum, { wireBytes }) => sum + wireBytes, 0);
  const later = rounds.filter(({ kind }) => kind === 'post-copy');
  const followedBytes = later.reduce((sum, { wireBytes }) => sum + wireBytes, 0);
  return {
    type: 'result',
    id,
    job: job.name,
    kind: job.kind,
    mode: ahead.follows ? 'post-copy' : plan.memory.mode,
    modeReason: plan.memory.why,
    source: hostname(),
    target: plan.answer.host,
    location: 'target-running',
    frozenMs: Math.round(took.frozenMs * 10) / 10,
    predictedFrozenMs: ahead.predictedMs ?? null,
    totalMs: phases.elapsedMs(),
    memoryBytes: sent.memoryBytes,
    wireBytes: earlier + sent.wireBytes + followedBytes,
    rounds,
    channels: took.channels,
    phases: phases.list,
    sockets: plan.survey.sockets,
    ...left,
    warnings: [...plan.warnings, ...left.warnings],
  };
}
