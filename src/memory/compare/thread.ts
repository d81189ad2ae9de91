import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { memoryLimits } from '../limits.ts';
import { createPageDigests, type PageDigests } from './digests.ts';
import { type CompareNews, type CompareOrder, type ComparePiece, regionBytes } from './messages.ts';

const { pageBytes } = memoryLimits;
/** Read ahead of whoever sends: then the thread waits. */
const buffersMax = 4;

/**
 * A thread that reads memory and says which pages are others than last time, with their content as
 * it was compared: a page that is read twice may have changed in between.
 */
export function serveCompare(): void {
  const digests = new Map<number, PageDigests>();
  const free = Array.from({ length: buffersMax }, () => new ArrayBuffer(regionBytes));
  let wake: (() => void) | undefined;

  async function takeBuffer(): Promise<ArrayBuffer> {
    for (;;) {
      const buffer = free.pop();
      if (buffer !== undefined) return buffer;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }

  async function compare(
    pieces: readonly ComparePiece[],
    mustBeThere: boolean,
    memoryOf: (pid: number) => number | undefined,
  ): Promise<void> {
    for (const piece of pieces) {
      const { nsPid, start, pages } = piece;
      const buffer = await takeBuffer();
      const content = Buffer.from(buffer, 0, pages * pageBytes);
      const known = digests.get(nsPid) ?? createPageDigests();
      digests.set(nsPid, known);
      const isThere = readPages(memoryOf(piece.pid), start, content);
      if (mustBeThere && isThere.includes(false)) {
        throw new Error(`a page of process ${nsPid} can't be read`);
      }
      const runs = changedRuns(isThere, (page) =>
        known.differs(
          start + page * pageBytes,
          content.subarray(page * pageBytes, (page + 1) * pageBytes),
        ),
      );
      if (runs.length === 0) free.push(buffer);
      else tell({ type: 'changed', nsPid, start, runs, buffer }, [buffer]);
    }
  }

  async function run(order: Extract<CompareOrder, { type: 'compare' }>): Promise<void> {
    // Opened anew each time: a program that was executed since has another memory.
    const opened = new Map<number, number | undefined>();
    const memoryOf = (pid: number): number | undefined => {
      if (!opened.has(pid)) opened.set(pid, openMemory(pid));
      return opened.get(pid);
    };
    try {
      await compare(order.pieces, order.mustBeThere, memoryOf);
      tell({ type: 'done' });
    } catch (error) {
      tell({ type: 'failed', message: error instanceof Error ? error.message : String(error) });
    } finally {
      for (const fd of opened.values()) if (fd !== undefined) closeSync(fd);
    }
  }

  parentPort?.on('message', (order: CompareOrder) => {
    if (order.type === 'compare') void run(order);
    else if (order.type === 'forget') digests.delete(order.nsPid);
    else {
      free.push(order.buffer);
      wake?.();
    }
  });
}

function tell(news: CompareNews, moved: ArrayBuffer[] = []): void {
  parentPort?.postMessage(news, moved);
}

function openMemory(pid: number): number | undefined {
  try {
    return openSync(`/proc/${pid}/mem`, 'r');
  } catch {
    return undefined;
  }
}

/** Which pages could be read. */
function readPages(fd: number | undefined, start: number, content: Buffer): boolean[] {
  const isThere: boolean[] = [];
  for (let at = 0; at < content.length; ) {
    const bytes = fd === undefined ? 0 : readSome(fd, content.subarray(at), start + at);
    const pages = Math.floor(bytes / pageBytes);
    for (let page = 0; page < pages; page += 1) isThere.push(true);
    if (pages === 0) isThere.push(false);
    at += Math.max(1, pages) * pageBytes;
  }
  return isThere;
}

function readSome(fd: number, into: Buffer, position: number): number {
  try {
    return readSync(fd, into, 0, into.length, position);
  } catch {
    return 0;
  }
}

function changedRuns(
  isThere: readonly boolean[],
  differs: (page: number) => boolean,
): [number, number][] {
  const runs: [number, number][] = [];
  for (const [page, there] of isThere.entries()) {
    if (!there || !differs(page)) continue;
    const last = runs.at(-1);
    if (last !== undefined && last[0] + last[1] === page) last[1] += 1;
    else runs.push([page, 1]);
  }
  return runs;
}
