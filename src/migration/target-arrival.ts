import { join } from 'node:path';
import { asMigrateError, MigrateError } from '../base/errors.ts';
import {
  inTurn,
  type MemoryStreamName,
  type PrepareRequest,
  restStream,
  staleStream,
} from './protocol.ts';
import { type ReadyHost, type ReceivedJob, rehearse, restoreHeld } from './target-steps.ts';

/** What comes of a job over the connection, onto a host that is ready for it. */
export interface TargetArrival {
  /** Reads a bundle of made-up images and throws it away. */
  rehearse(source: AsyncIterable<Uint8Array>): Promise<void>;
  /** Reads the bundle, restores the job and holds it. */
  receive(source: AsyncIterable<Uint8Array>, received: () => void): Promise<void>;
  /** Reads a stream of its memory; after the last one nothing may be missing. */
  receiveMemory(name: MemoryStreamName, source: AsyncIterable<Uint8Array>): Promise<void>;
  /** The job as it stands here; PROTOCOL before it does. */
  received(): ReceivedJob;
  /** Resolves when the job has all its memory; MEMORY_LOST if it was killed for want of it. */
  whole(): Promise<void>;
  /** Resolves when its place needs nothing more. */
  settle(): Promise<void>;
}

export function createTargetArrival(
  request: PrepareRequest,
  work: string,
  host: ReadyHost,
): TargetArrival {
  let received: ReceivedJob | undefined;
  let follows = false;
  return {
    rehearse: (source) => rehearse(source, join(work, 'rehearsal'), request.id),
    async receive(source, tellReceived) {
      try {
        received = await restoreHeld(request, work, host, { source, tellReceived, follows });
      } catch (error) {
        host.memory?.fail(error);
        throw error;
      }
    },
    async receiveMemory(name, source) {
      const memory = inTurn(host.memory);
      try {
        await memory.receive(source);
      } catch (error) {
        // A job that runs already would wait for its pages for ever, and its pager for us.
        if (name === restStream && follows) memory.abandon();
        throw error;
      }
      if (name === staleStream) follows = true;
      if (name !== restStream) return;
      await memory.complete();
      if (!follows) memory.open();
    },
    received: () => inTurn(received),
    async whole() {
      try {
        await host.memory?.settled;
      } catch (error) {
        const { message } = asMigrateError(error);
        throw new MigrateError('MEMORY_LOST', message, { side: 'target', cause: error });
      }
    },
    settle: () => host.established.settle(),
  };
}
