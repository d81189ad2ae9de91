import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { MigrateError } from '../../base/errors.ts';
import type { CompareNews, CompareOrder, ComparePiece } from './messages.ts';
import { regionBytes } from './messages.ts';

/** How a thread of this program is started: its file must call `serveCompare` when it is one. */
export interface ThreadEntry {
  readonly file: string | URL;
  readonly execArgv?: readonly string[];
}

/** Pages that differ from what they were; `content` is used again when the next ones come. */
export interface ChangedPages {
  readonly nsPid: number;
  readonly address: number;
  readonly content: Buffer;
}

/** Compares memory with what it was when it was compared last, on all processors. */
export interface Comparer {
  /** Pages may be in any order. Throws DUMP_FAILED when a page that must be there can't be read. */
  changed(pieces: readonly ComparePiece[], mustBeThere: boolean): AsyncIterable<ChangedPages>;
  /** Another process has this number now. */
  forget(nsPid: number): void;
  close(): Promise<void>;
}

/** Hashing is what it costs: more threads than these wait for memory. */
const threadsMax = 8;
const pageBytes = 4096;

export function openComparer({ file, execArgv }: ThreadEntry): Comparer {
  const count = Math.min(threadsMax, availableParallelism());
  const options = { ...(execArgv === undefined ? {} : { execArgv: [...execArgv] }) };
  const threads = Array.from({ length: count }, () => new Worker(file, options));
  let failure: Error | undefined;
  for (const thread of threads) {
    // An error that nobody listens to would end the program, whatever it is about to do.
    thread.on('error', (error: Error) => {
      failure ??= error;
    });
    thread.unref();
  }
  const order = (thread: Worker, what: CompareOrder, moved: ArrayBuffer[] = []): void =>
    thread.postMessage(what, moved);

  return {
    async *changed(pieces, mustBeThere) {
      const shares = threads.map((): ComparePiece[] => []);
      // A region is always the same thread's: it knows what was there.
      for (const piece of pieces) {
        const region = Math.floor(piece.start / regionBytes) + piece.nsPid;
        shares[region % count]?.push(piece);
      }
      if (failure !== undefined) throw failure;
      const inbox = openInbox(threads);
      try {
        for (const [at, thread] of threads.entries()) {
          order(thread, { type: 'compare', pieces: shares[at] ?? [], mustBeThere });
        }
        for (let left = count; left > 0; ) {
          const { news, thread } = await inbox.next();
          if (news.type === 'failed') throw new MigrateError('DUMP_FAILED', news.message);
          if (news.type === 'done') {
            left -= 1;
            continue;
          }
          const { nsPid, start, runs, buffer } = news;
          for (const [first, pages] of runs) {
            const content = Buffer.from(buffer, first * pageBytes, pages * pageBytes);
            yield { nsPid, address: start + first * pageBytes, content };
          }
          order(thread, { type: 'buffer', buffer }, [buffer]);
        }
      } finally {
        inbox.close();
      }
    },
    forget(nsPid) {
      for (const thread of threads) order(thread, { type: 'forget', nsPid });
    },
    async close() {
      await Promise.all(threads.map((thread) => thread.terminate()));
    },
  };
}

interface Inbox {
  next(): Promise<{ news: CompareNews; thread: Worker }>;
  close(): void;
}

/** What threads say, in the order in which it comes. */
function openInbox(threads: readonly Worker[]): Inbox {
  const waiting: { news: CompareNews; thread: Worker }[] = [];
  let failure: Error | undefined;
  let wake: (() => void) | undefined;
  const listeners = threads.map((thread) => {
    const onNews = (news: CompareNews): void => {
      waiting.push({ news, thread });
      wake?.();
    };
    const onError = (error: Error): void => {
      failure = error;
      wake?.();
    };
    thread.on('message', onNews).on('error', onError);
    // While something is waited for, the thread keeps this process alive.
    thread.ref();
    return { thread, onNews, onError };
  });
  return {
    async next() {
      for (;;) {
        const first = waiting.shift();
        if (first !== undefined) return first;
        if (failure !== undefined) throw failure;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    close() {
      for (const { thread, onNews, onError } of listeners) {
        thread.off('message', onNews).off('error', onError);
        thread.unref();
      }
    },
  };
}
