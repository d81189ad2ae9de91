import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { createUndoStack, type UndoStack } from '../base/undo.ts';
import { freeze, prepareDump, type ReadyDump, shut } from '../checkpoint/freeze.ts';
import { dumpWithSockets } from '../checkpoint/sockets/frozen.ts';
import { sourceLockOf } from '../checkpoint/source-lock.ts';
import { nowMs } from '../host/clock.ts';
import { lockJob } from '../job/lock.ts';
import type { JobRecord } from '../job/record.ts';
import { readNeighbours } from '../network/neighbours.ts';
import type { MoveEvent, MoveMode, MoveResult } from './events.ts';
import { identityOf, settingsOfAddresses } from './identity.ts';
import { type Journal, openJournal } from './journal.ts';
import { leaveSource, releaseOf } from './leave-source.ts';
import { createPhases, type Phases } from './phases.ts';
import { type AgreedPlan, planMove, treesToPrepare } from './plan.ts';
import { recoveryOf } from './program.ts';
import { refuseCutOff, refuseStopped } from './recover.ts';
import { resolveJob } from './resolve-job.ts';
import { explainFailure } from './roll-back.ts';
import { rehearse, type SentJob, sendJob } from './send-job.ts';
import { openSourceNetwork, type SourceNetwork } from './source-network.ts';
import { connectTarget, type Target } from './target-link.ts';

export interface MoveOptions {
  readonly mode: MoveMode;
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
    return await move({ job, host, id, phases: createPhases(options), undo: createUndoStack() });
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
}

/** The protocol, step by step: prepare, freeze, ship, restore, held; COMMIT; run, release. */
async function move(context: Move): Promise<MoveResult> {
  const { job, host, id, phases, undo } = context;
  let target: Target | undefined;
  let journal: Journal | undefined;
  let committed = false;
  try {
    target = await phases.run('connect', () => connectTarget(host));
    const link = target;
    const plan = await phases.run('plan', () => planMove(job, link));
    phases.warn(plan.survey.socketReport.lost);
    journal = await openJournal({ id, side: 'source', job: job.name, host });
    await journal.write('prepared');
    const { ready, network } = await phases.run('prepare', () => prepare(context, link, plan));

    const frozenAt = await phases.run('freeze', () => freeze(ready));
    await phases.run('lock', () => shut(ready));
    const state = network.read();
    state.catch(() => undefined);
    const sockets = await phases.run('dump', () =>
      dumpWithSockets(ready, plan.survey.socketReport),
    );
    const sent = await sendJob({ id, ready, plan, sockets, link, phases, network: state });

    await phases.run('commit', async () => {
      phases.check();
      phases.pointOfNoReturn();
      committed = true;
      await journal?.write('committed');
    });
    const release = releaseOf(ready);
    const notSet = await phases.run('resume', () => link.commit(id, release.begin));
    const frozenMs = nowMs() - frozenAt;
    const left = await leaveSource({ id, ready, release, link, phases, journal });
    const warnings = [...sockets.lost, ...notSet, ...left.warnings];
    return resultOf(context, plan, sent, frozenMs, { ...left, warnings });
  } catch (error) {
    throw await explainFailure(error, { job, undo, committed, journal });
  } finally {
    await journal?.close();
    await target?.close();
  }
}

async function prepare(
  { job, id, undo, phases }: Move,
  link: Target,
  plan: AgreedPlan,
): Promise<{ ready: ReadyDump; network: SourceNetwork }> {
  undo.push('target', () => link.abort(id));
  const network = await openSourceNetwork(job, undo);
  const state = await network.read();
  const lock = sourceLockOf(job, id, job.device, plan.answer);
  const addresses = await settingsOfAddresses(job);
  const [dumping, answered] = await Promise.allSettled([
    prepareDump(
      { id, job, lock, addresses, recover: recoveryOf(job.name), trees: plan.survey.trees },
      undo,
    ),
    link.prepare({
      id,
      source: hostname(),
      job: identityOf(job, addresses),
      neighbours: await readNeighbours(job),
      ...(state === undefined ? {} : { network: state }),
      ...treesToPrepare(plan.survey.trees),
    }),
  ]);
  // Both have come to an end, so that nothing is made any more while it is undone.
  if (answered.status === 'rejected') throw answered.reason;
  if (dumping.status === 'rejected') throw dumping.reason;
  const ready = dumping.value;
  network.arm();
  const sockets = plan.survey.socketReport;
  await rehearse({ id, ready, plan, sockets, link, phases, network: Promise.resolve(state) });
  return { ready, network };
}

function resultOf(
  { job, id, phases }: Move,
  plan: AgreedPlan,
  sent: SentJob,
  frozenMs: number,
  left: Pick<MoveResult, 'warnings' | 'packets'>,
): MoveResult {
  return {
    type: 'result',
    id,
    job: job.name,
    kind: job.kind,
    mode: 'stop-copy',
    source: hostname(),
    target: plan.answer.host,
    location: 'target-running',
    frozenMs: Math.round(frozenMs * 10) / 10,
    totalMs: phases.elapsedMs(),
    memoryBytes: sent.memoryBytes,
    wireBytes: sent.wireBytes,
    rounds: [
      { kind: 'final', memoryBytes: sent.memoryBytes, wireBytes: sent.wireBytes, ms: sent.ms },
    ],
    phases: phases.list,
    sockets: plan.survey.sockets,
    ...left,
    warnings: [...plan.warnings, ...left.warnings],
  };
}
