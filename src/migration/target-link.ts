import type { z } from 'zod';
import { nowMs } from '../host/clock.ts';
import type { Encoding } from '../memory/codec.ts';
import { connect, openLane, type Peer, startAgent } from '../transport/index.ts';
import { type Bandwidth, createBandwidth } from './bandwidth.ts';
import { createLanes, type Lanes } from './lanes.ts';
import { agentProgram } from './program.ts';
import {
  bundleStream,
  calls,
  commitAnswer,
  type InquiryAnswer,
  inquiryAnswer,
  liveNote,
  type MemoryStreamName,
  type PlanAnswer,
  type PlanRequest,
  type PrepareRequest,
  parseMessage,
  planAnswer,
  prepareAnswer,
  probeStream,
  receivedNote,
  rehearsalStream,
  wantedNote,
  wantedPages,
} from './protocol.ts';
import { type Feed, sendStream } from './send-stream.ts';

/**
 * The job runs meanwhile, and the link notices a host that is dead. An emulated guest needs half a
 * minute for a namespace of thirty devices, another host tens of milliseconds.
 */
const prepareTimeoutMs = 120_000;
const planTimeoutMs = 120_000;
/** The pager puts the last page into its place; the link notices a target that is dead. */
const wholeTimeoutMs = 600_000;
const finishTimeoutMs = 30_000;
/** The job is frozen meanwhile: an answer that takes longer counts as lost. */
const commitTimeoutMs = 10_000;
const abortTimeoutMs = 10_000;

/** The other host, as the coordinator sees it: the calls of one move, in their order. */
export interface Target {
  /** The address of this host that the connection leaves from. */
  readonly leavesFrom: string | undefined;
  plan(request: PlanRequest): Promise<PlanAnswer>;
  prepare(request: PrepareRequest): Promise<void>;
  /** Feeds the bundle; resolves when the job is restored over there, and held. */
  send(feed: Feed, onReceived: () => void): Promise<void>;
  /** Feeds a stream of memory; the last one resolves when nothing is missing over there. */
  sendMemory(name: MemoryStreamName, encoding: Encoding, feed: Feed): Promise<void>;
  /** A question and its answer, milliseconds. */
  roundTrip(): Promise<number>;
  /** Has so many links for memory, or as many as the host lets us have. After `prepare`. */
  openLanes(count: number): Promise<void>;
  readonly lanes: Pick<Lanes, 'count' | 'send' | 'probe'>;
  /** Who is told of pages that the job waits for over there. */
  onWanted(listener: (pages: WantedPages) => void): void;
  /** Feeds a bundle that is thrown away. */
  rehearse(feed: Feed): Promise<void>;
  /**
   * Resolves when the job runs over there, to what its sockets did not get back; `onLive` is
   * called when its network is open.
   */
  commit(id: string, onLive: () => void): Promise<readonly string[]>;
  /** Resolves when the job has all its memory over there; MEMORY_LOST if it never will. */
  whole(id: string): Promise<void>;
  finish(id: string): Promise<void>;
  abort(id: string): Promise<void>;
  inquire(about: { id: string; job: string }): Promise<InquiryAnswer>;
  forget(id: string): Promise<void>;
  close(): Promise<void>;
}

/** Connects over SSH and starts our agent there. */
export async function connectTarget(
  host: string,
  bandwidth: Bandwidth = createBandwidth(undefined),
): Promise<Target> {
  const connection = await connect(host);
  const listeners: Listeners = {};
  try {
    const agent = await startAgent(connection, agentProgram(), {
      notes: {
        [receivedNote]: () => listeners.received?.(),
        [liveNote]: () => listeners.live?.(),
        [wantedNote]: (params) =>
          listeners.wanted?.(parseMessage(wantedPages, params, 'pages that are wanted')),
      },
    });
    const { peer } = agent;
    const lanes = createLanes(peer, bandwidth);
    const stream = (name: string, feed: Feed) => sendStream(peer, bandwidth, name, feed);
    return {
      ...targetOver(peer, stream, listeners),
      ...memoryOver(lanes, stream),
      ...preparedOver(peer, lanes, (path) => openLane(connection, path)),
      leavesFrom: connection.leavesFrom,
      async close() {
        await lanes.close();
        await peer.close();
        await connection.close();
      },
    };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** Who wants to hear of the target's notes. */
interface Listeners {
  received?: () => void;
  live?: () => void;
  wanted?: (pages: WantedPages) => void;
}

type WantedPages = z.infer<typeof wantedPages>;

type Stream = (name: string, feed: Feed) => Promise<void>;
type OfMemory = 'sendMemory' | 'roundTrip' | 'lanes';
type OfPrepare = 'prepare' | 'openLanes';

function memoryOver(lanes: Lanes, stream: Stream): Pick<Target, OfMemory> {
  return {
    sendMemory: (name, encoding, feed) => stream(`${name}.${encoding}`, feed),
    async roundTrip() {
      const from = nowMs();
      await stream(probeStream, async () => undefined);
      return nowMs() - from;
    },
    lanes,
  };
}

function preparedOver(
  peer: Peer,
  lanes: Lanes,
  openOne: (path: string) => Promise<Peer>,
): Pick<Target, OfPrepare> {
  let path: string | undefined;
  return {
    async prepare(request) {
      const answer = await peer.call(calls.prepare, request, { timeoutMs: prepareTimeoutMs });
      path = parseMessage(prepareAnswer, answer, 'the answer to prepare').lanes;
    },
    async openLanes(count) {
      const socket = path;
      if (socket !== undefined) await lanes.open(count, () => openOne(socket));
    },
  };
}

function targetOver(
  peer: Peer,
  stream: Stream,
  listeners: Listeners,
): Omit<Target, OfMemory | OfPrepare | 'leavesFrom' | 'close'> {
  return {
    async plan(request) {
      const answer = await peer.call(calls.plan, request, { timeoutMs: planTimeoutMs });
      return parseMessage(planAnswer, answer, 'the answer to plan');
    },
    async send(feed, listener) {
      listeners.received = listener;
      await stream(bundleStream, feed);
    },
    onWanted(listener) {
      listeners.wanted = listener;
    },
    rehearse: (feed) => stream(rehearsalStream, feed),
    async commit(id, onLive) {
      listeners.live = onLive;
      const answer = await peer.call(calls.commit, { id }, { timeoutMs: commitTimeoutMs });
      // The job runs there: what the target says beside that must not make it look otherwise.
      return commitAnswer.safeParse(answer).data?.warnings ?? [];
    },
    async whole(id) {
      await peer.call(calls.whole, { id }, { timeoutMs: wholeTimeoutMs });
    },
    async finish(id) {
      await peer.call(calls.finish, { id }, { timeoutMs: finishTimeoutMs });
    },
    async abort(id) {
      await peer.call(calls.abort, { id }, { timeoutMs: abortTimeoutMs });
    },
    async inquire(about) {
      const answer = await peer.call(calls.inquire, about, { timeoutMs: planTimeoutMs });
      return parseMessage(inquiryAnswer, answer, 'the answer to inquire');
    },
    async forget(id) {
      await peer.call(calls.forget, { id }, { timeoutMs: abortTimeoutMs });
    },
  };
}
