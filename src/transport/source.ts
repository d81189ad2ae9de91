import { assert } from '../base/assert.ts';
import { MigrateError } from '../base/errors.ts';
import { chunkCost, transportLimits } from './limits.ts';

/**
 * The receiving end of one stream: chunks arrive as they were written (long writes in several
 * pieces). A chunk counts as consumed, and its credit goes back, when the next one is asked for.
 * Can be iterated once. At most `transportLimits.streamWindowBytes` are ever held.
 */
export interface Source extends AsyncIterable<Uint8Array> {
  /** Throws PROTOCOL when the sender exceeds its credit. */
  arrive(chunk: Uint8Array): void;
  end(): void;
  fail(error: MigrateError): void;
  readonly isReadToEnd: boolean;
}

export function createSource(name: string, giveCredit: (cost: number) => void): Source {
  const queue: Uint8Array[] = [];
  /** Cost of what arrived and for which no credit was given back yet. */
  let uncredited = 0;
  let consumed = 0;
  let inHand = 0;
  let isEnded = false;
  let isReadToEnd = false;
  let isIterated = false;
  let failure: MigrateError | undefined;
  let wake: (() => void) | undefined;

  function consume(): void {
    consumed += inHand;
    inHand = 0;
    if (consumed < transportLimits.creditStepBytes || isEnded) return;
    const cost = consumed;
    consumed = 0;
    uncredited -= cost;
    giveCredit(cost);
  }

  async function next(): Promise<IteratorResult<Uint8Array>> {
    consume();
    while (queue.length === 0 && !isEnded && failure === undefined) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (failure !== undefined) throw failure;
    const chunk = queue.shift();
    if (chunk !== undefined) {
      inHand = chunkCost(chunk.byteLength);
      return { done: false, value: chunk };
    }
    isReadToEnd = true;
    return { done: true, value: undefined };
  }

  function drop(error?: MigrateError): void {
    failure ??= error;
    queue.length = 0;
    wake?.();
  }

  return {
    [Symbol.asyncIterator]() {
      assert(!isIterated, `stream ${name} is iterated once`);
      isIterated = true;
      return {
        next,
        return: async () => {
          drop(new MigrateError('TRANSFER_FAILED', `stream ${name} is not read any more`));
          return { done: true, value: undefined };
        },
      };
    },
    arrive(chunk) {
      uncredited += chunkCost(chunk.byteLength);
      if (uncredited > transportLimits.streamWindowBytes) {
        throw new MigrateError('PROTOCOL', `the peer sent more of stream ${name} than it may`);
      }
      if (failure !== undefined) return;
      queue.push(chunk);
      wake?.();
    },
    end() {
      isEnded = true;
      wake?.();
    },
    fail: drop,
    get isReadToEnd() {
      return isReadToEnd;
    },
  };
}
