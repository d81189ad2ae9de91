import { hostname } from 'node:os';
import { MigrateError } from '../base/errors.ts';
import { createUndoStack } from '../base/undo.ts';
import { unpacked } from '../memory/codec.ts';
import type { CallHandler } from '../transport/calls.ts';
import { type Peer, type PeerHandlers, serveAgent, serveLanes } from '../transport/index.ts';
import { forget, inquire } from './inquire.ts';
import {
  bundleStream,
  type calls,
  inquiry,
  liveNote,
  memoryStreamOf,
  moveRequest,
  parseMessage,
  planRequest,
  prepareRequest,
  probeStream,
  receivedNote,
  rehearsalStream,
  wantedNote,
} from './protocol.ts';
import { sweepDeadAgents } from './sweep.ts';
import { createTargetMove, type TargetMove } from './target-move.ts';
import { planOnTarget } from './target-plan.ts';

/** The remote end: serves one move on standard input and output, then ends. */
export async function runAgent(): Promise<void> {
  let move: TargetMove | undefined;
  const onEnd: (() => void)[] = [];
  await serveAgent(process.stdin, process.stdout, (peer) =>
    handlersFor(peer, {
      get: () => move,
      set: (made) => {
        move = made;
      },
      onEnd: (act) => void onEnd.push(act),
    }),
  );
  for (const act of onEnd) act();
  await move?.connectionEnded();
}

/** Reads a stream to its end for nothing. */
async function drain(source: AsyncIterable<Uint8Array>): Promise<void> {
  const iterator = source[Symbol.asyncIterator]();
  while ((await iterator.next()).done !== true);
}

interface MoveSlot {
  get(): TargetMove | undefined;
  set(move: TargetMove): void;
  /** What is to be done when the source has gone. */
  onEnd(act: () => void): void;
}

/** What comes by further links: memory, and bytes that are thrown away. */
function laneHandlers(move: TargetMove): PeerHandlers {
  return {
    async onStream(name, source) {
      if (name === probeStream) return drain(source);
      if (!(await takeMemory(move, name, source))) throw unknownStream(name);
    },
  };
}

/** False for a stream of another kind. */
async function takeMemory(
  move: TargetMove,
  name: string,
  source: AsyncIterable<Uint8Array>,
): Promise<boolean> {
  const memory = memoryStreamOf(name);
  if (memory === undefined) return false;
  const records = memory.encoding === 'zstd' ? unpacked(source) : source;
  await move.receiveMemory(memory.name, records);
  return true;
}

function unknownStream(name: string): MigrateError {
  return new MigrateError('PROTOCOL', `nobody waits for a stream ${name}`);
}

function handlersFor(peer: Peer, slot: MoveSlot): PeerHandlers {
  const current = (params: unknown): TargetMove => {
    const { id } = parseMessage(moveRequest, params, 'a call');
    const move = slot.get();
    if (move === undefined || move.id !== id) {
      throw new MigrateError('PROTOCOL', `no move ${id} was prepared here`);
    }
    return move;
  };
  const handlers: Record<keyof typeof calls, CallHandler> = {
    async plan(params) {
      await sweepDeadAgents();
      return planOnTarget(parseMessage(planRequest, params, 'plan'));
    },
    async prepare(params) {
      const request = parseMessage(prepareRequest, params, 'prepare');
      if (slot.get() !== undefined)
        throw new MigrateError('PROTOCOL', 'a move is prepared already');
      const move = createTargetMove(request, createUndoStack(), (pages) =>
        peer.notify(wantedNote, pages),
      );
      slot.set(move);
      await move.prepare();
      const lanes = await serveLanes(move.lanes, laneHandlers(move));
      slot.onEnd(() => lanes.close());
      return { host: hostname(), lanes: move.lanes };
    },
    commit: async (params) => current(params).commit(() => peer.notify(liveNote)),
    whole: async (params) => current(params).whole(),
    finish: async (params) => current(params).finish(),
    abort: async (params) => current(params).abort(),
    inquire: async (params) => inquire(parseMessage(inquiry, params, 'inquire')),
    forget: async (params) => forget(parseMessage(moveRequest, params, 'forget').id),
  };
  return {
    calls: handlers,
    async onStream(name, source) {
      const move = slot.get();
      if (name === rehearsalStream && move !== undefined) {
        await move.rehearse(source);
        return;
      }
      if (name === probeStream) return drain(source);
      if (move === undefined) throw unknownStream(name);
      if (await takeMemory(move, name, source)) return;
      if (name !== bundleStream) throw unknownStream(name);
      await move.receive(source, () => peer.notify(receivedNote));
    },
  };
}
