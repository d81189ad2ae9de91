import type { FileHandle } from 'node:fs/promises';
import type { AskedPages } from './asked.ts';
import { createPageDigests, type PageDigests } from './digests.ts';
import { memoryLimits } from './limits.ts';
import { createPageTable, type PageRun, type PageTable, type ProcessPages } from './pages.ts';
import { openMemory, type Piece, piecesOf, readPieces } from './process-memory.ts';
import { forgetWrites, type ScannedRun, scanPages } from './scan.ts';
import type { RecordWriter } from './write-records.ts';

/**
 * How the source knows what a job has written to since it was sent. `soft-dirty`: the kernel says
 * so (CONFIG_MEM_SOFT_DIRTY). `digest`: all is read again and compared with what it was. `none`:
 * nothing is sent twice.
 */
export type Tracking = 'soft-dirty' | 'digest' | 'none';

/** A process of the job, as this host and as its own PID namespace number it. */
export interface ProcessToSend {
  readonly pid: number;
  readonly nsPid: number;
  /** With the pid it names one process for ever. */
  readonly startTime: number;
}

/** What is still to be sent of a frozen job. */
export interface RestOfMemory {
  /** Every page that CRIU has listed. */
  readonly all: readonly ProcessPages[];
  readonly wanted: readonly ProcessPages[];
  /** Those of them that the target has in an old form. */
  readonly stale: readonly ProcessPages[];
}

/** A job's memory on its way: what the target has of it, and what it lacks. */
export interface MemorySource {
  /**
   * Sends what the target does not have, while the job runs. `pause` stops the job for the instant
   * in which the kernel is asked what was written to; nobody is stopped where it can't be asked.
   */
  ahead(
    processes: readonly ProcessToSend[],
    out: RecordWriter,
    pause: (work: () => Promise<void>) => Promise<void>,
  ): Promise<void>;
  /**
   * Of a frozen job whose pages CRIU has listed: what the target lacks of them, once the job runs over
   * there already (`follows`) or before it may.
   */
  rest(
    processes: readonly ProcessToSend[],
    lazy: readonly ProcessPages[],
    when: { readonly follows: boolean },
  ): Promise<RestOfMemory>;
  /**
   * Sends it: what is asked for first, and all else once it is released. With digests it reads all
   * and sends what has changed.
   */
  send(rest: RestOfMemory, out: RecordWriter, asked: AskedPages): Promise<void>;
  close(): Promise<void>;
}

const { pageBytes } = memoryLimits;

/** Values of `known`. */
const sent = 1;

interface Tracked extends ProcessToSend {
  readonly memory: FileHandle;
  readonly known: PageTable;
  readonly digests: PageDigests;
}

export function createMemorySource(tracking: Tracking): MemorySource {
  const tracked = new Map<number, Tracked>();
  let compares = tracking === 'digest';

  /**
   * Processes come and go while the job runs; a number that comes again is another process. One that
   * has called execve(2) has other memory than the one that was opened before. Returns those of which
   * the target has what was another process's.
   */
  async function update(
    processes: readonly ProcessToSend[],
    out?: RecordWriter,
  ): Promise<ReadonlySet<number>> {
    const replaced = new Set<number>();
    for (const process of processes) {
      const before = tracked.get(process.nsPid);
      await before?.memory.close();
      tracked.delete(process.nsPid);
      const isSame = before?.startTime === process.startTime && before.pid === process.pid;
      if (before !== undefined && !isSame) {
        await out?.forget(process.nsPid);
        replaced.add(process.nsPid);
      }
      const memory = await openMemory(process.pid);
      if (memory === undefined) continue;
      const fresh = { known: createPageTable(), digests: createPageDigests() };
      const { known, digests } = before !== undefined && isSame ? before : fresh;
      tracked.set(process.nsPid, { ...process, memory, known, digests });
    }
    return replaced;
  }

  async function sendPieces(
    pieces: Iterable<Piece> | AsyncIterable<Piece>,
    out: RecordWriter,
  ): Promise<void> {
    await readPieces(pieces, async ({ pid, isUrgent }, address, content) => {
      const process = tracked.get(pid);
      if (process === undefined) return;
      if (!compares) await out.pages(pid, address, content);
      else await sendChanged(process, address, content, out);
      for (let at = 0; at < content.length; at += pageBytes) process.known.set(address + at, sent);
      if (isUrgent) await out.flush();
    });
    await out.flush();
  }

  return {
    async ahead(processes, out, pause) {
      await update(processes, out);
      const found = new Map<Tracked, readonly ScannedRun[]>();
      const look = async (): Promise<void> => {
        for (const process of tracked.values()) {
          found.set(process, await scanPages(process.pid));
        }
        if (tracking !== 'soft-dirty') return;
        // Not one by one: what two processes share (vfork(2)) would look clean to the second.
        for (const { pid } of tracked.values()) await forgetWrites(pid).catch(() => undefined);
      };
      await (tracking === 'soft-dirty' ? pause(look) : look());
      await sendPieces(piecesAhead(found, tracking), out);
    },
    async rest(processes, lazy, { follows }) {
      const replaced = await update(processes);
      // Nobody waits for a comparison of everything: what was sent ahead counts for nothing.
      if (follows) compares = false;
      const isSent = (value: number): boolean => value === sent;
      const wanted: ProcessPages[] = [];
      const stale: ProcessPages[] = [];
      for (const { pid, runs } of lazy) {
        const process = tracked.get(pid);
        if (process === undefined || replaced.has(pid)) {
          wanted.push({ pid, runs });
          if (replaced.has(pid)) stale.push({ pid, runs });
        } else if (tracking === 'digest') {
          wanted.push({ pid, runs });
          stale.push({ pid, runs: runs.flatMap((run) => process.known.split(run, isSent)) });
        } else {
          const { known } = process;
          const dirty = await dirtyPages(process.pid);
          const fresh = runs.flatMap((run) => known.split(run, (value) => !isSent(value)));
          const old = overlap(runs, dirty).flatMap((run) => known.split(run, isSent));
          wanted.push({ pid, runs: [...fresh, ...old] });
          stale.push({ pid, runs: old });
        }
      }
      return { all: lazy, wanted, stale };
    },
    async send({ wanted }, out, asked) {
      await sendPieces(piecesOfRest(wanted, tracked, asked), out);
    },
    async close() {
      for (const { memory } of tracked.values()) await memory.close();
      tracked.clear();
    },
  };
}

function* piecesAhead(
  found: ReadonlyMap<Tracked, readonly ScannedRun[]>,
  tracking: Tracking,
): Iterable<Piece> {
  for (const [{ memory, nsPid, known }, runs] of found) {
    for (const run of runs) {
      const all = tracking === 'digest' || run.isDirty;
      const lacking = all ? [run] : known.split(run, (value) => value !== sent);
      yield* piecesOf(memory, nsPid, lacking);
    }
  }
}

/** Each page once: who asks for one that is on its way already has only to wait. */
async function* piecesOfRest(
  wanted: readonly ProcessPages[],
  tracked: ReadonlyMap<number, Tracked>,
  asked: AskedPages,
): AsyncIterable<Piece> {
  const gone = new Map<number, PageTable>();
  function* notGone(pid: number, run: PageRun): Iterable<PageRun> {
    const table = gone.get(pid) ?? createPageTable();
    gone.set(pid, table);
    for (const left of table.split(run, (value) => value !== sent)) {
      for (let at = 0; at < left.pages; at += 1) table.set(left.start + at * pageBytes, sent);
      yield left;
    }
  }
  function* urgent(): Iterable<Piece> {
    for (let first = asked.next(); first !== undefined; first = asked.next()) {
      const { pid, runs } = first;
      const memory = tracked.get(pid)?.memory;
      if (memory === undefined) continue;
      const left = runs.flatMap((run) => [...notGone(pid, run)]);
      for (const piece of piecesOf(memory, pid, left)) yield { ...piece, isUrgent: true };
    }
  }
  const mayBeAsked = !asked.isReleased;
  while (!asked.isReleased) {
    await asked.wait();
    yield* urgent();
  }
  for (const { pid, runs } of wanted) {
    const process = tracked.get(pid);
    if (process === undefined) continue;
    for (const piece of piecesOf(process.memory, pid, runs)) {
      yield* urgent();
      if (!mayBeAsked) yield piece;
      else for (const run of notGone(pid, piece)) yield { ...piece, ...run };
    }
  }
}

async function sendChanged(
  { nsPid, digests }: Tracked,
  address: number,
  content: Buffer,
  out: RecordWriter,
): Promise<void> {
  let from = -1;
  for (let at = 0; at <= content.length; at += pageBytes) {
    const differs =
      at < content.length && digests.differs(address + at, content.subarray(at, at + pageBytes));
    if (differs && from < 0) from = at;
    if (!differs && from >= 0) {
      await out.pages(nsPid, address + from, content.subarray(from, at));
      from = -1;
    }
  }
}

async function dirtyPages(pid: number): Promise<PageRun[]> {
  return (await scanPages(pid)).filter(({ isDirty }) => isDirty);
}

/** What lies in both of two sorted lists of runs. */
function overlap(one: readonly PageRun[], other: readonly PageRun[]): PageRun[] {
  const found: PageRun[] = [];
  let at = 0;
  for (const run of one) {
    const end = run.start + run.pages * pageBytes;
    while (at > 0 && endOf(other[at - 1]) > run.start) at -= 1;
    for (; at < other.length; at += 1) {
      const candidate = other[at] as PageRun;
      if (candidate.start >= end) break;
      const start = Math.max(run.start, candidate.start);
      const pages = (Math.min(end, endOf(candidate)) - start) / pageBytes;
      if (pages > 0) found.push({ start, pages });
    }
  }
  return found;
}

function endOf(run: PageRun | undefined): number {
  return run === undefined ? 0 : run.start + run.pages * pageBytes;
}
