import { MigrateError } from '../base/errors.ts';
import type { AskedPages } from './asked.ts';
import { openComparer, type ThreadEntry } from './compare/comparer.ts';
import { type ComparePiece, regionBytes } from './compare/messages.ts';
import { memoryLimits } from './limits.ts';
import type { PageRun, ProcessPages } from './pages.ts';
import { type Piece, piecesOf, readPieces } from './process-memory.ts';
import { piecesOfRest } from './rest-pieces.ts';
import { forgetWrites, type ScannedRun, scanPages } from './scan.ts';
import {
  type ProcessToSend,
  sentPage,
  type Tracked,
  type TrackedProcesses,
  trackProcesses,
} from './tracked.ts';
import type { RecordWriter } from './write-records.ts';

/**
 * How the source knows what a job has written to since it was sent. `soft-dirty`: the kernel says
 * so (CONFIG_MEM_SOFT_DIRTY). `digest`: all is read again and compared with what it was. `none`:
 * nothing is sent twice.
 */
export type Tracking = 'soft-dirty' | 'digest' | 'none';

/** What is still to be sent of a frozen job. */
export interface RestOfMemory {
  /** Every page that CRIU has listed. */
  readonly all: readonly ProcessPages[];
  /** Which of the wanted ones are sent is known when all of them have been compared. */
  readonly compares: boolean;
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
   * Of a frozen job whose pages CRIU has listed: what the target lacks of them. If it `follows` the
   * job, the target must know now what is old, so digests are of no use.
   */
  rest(
    processes: readonly ProcessToSend[],
    lazy: readonly ProcessPages[],
    follows: boolean,
  ): Promise<RestOfMemory>;
  /**
   * Sends it: what is asked for first, and all else once it is released. Throws DUMP_FAILED when a
   * page can't be read.
   */
  send(rest: RestOfMemory, out: RecordWriter, asked: AskedPages): Promise<void>;
  close(): Promise<void>;
}

const { pageBytes } = memoryLimits;

export function createMemorySource(tracking: Tracking, thread: ThreadEntry): MemorySource {
  const tracked = trackProcesses();
  const comparer = tracking === 'digest' ? openComparer(thread) : undefined;

  async function sendPieces(
    pieces: Iterable<Piece> | AsyncIterable<Piece>,
    out: RecordWriter,
    mustBeThere: boolean,
  ): Promise<void> {
    await readPieces(pieces, mustBeThere, async ({ pid, isUrgent }, address, content) => {
      await out.pages(pid, address, content);
      const known = tracked.get(pid)?.known;
      for (let at = 0; at < content.length; at += pageBytes) known?.set(address + at, sentPage);
      if (isUrgent) await out.flush();
    });
    await out.flush();
  }

  async function sendChanged(
    all: Iterable<readonly [Tracked, readonly PageRun[]]>,
    out: RecordWriter,
    mustBeThere: boolean,
  ): Promise<void> {
    const pieces = [...all].flatMap(([{ pid, nsPid }, runs]) => [
      ...comparePieces(pid, nsPid, runs),
    ]);
    for await (const one of comparer?.changed(pieces, mustBeThere) ?? []) {
      await out.pages(one.nsPid, one.address, one.content);
    }
    await out.flush();
  }

  return {
    async ahead(processes, out, pause) {
      await tracked.update(processes, async (nsPid) => {
        await out.forget(nsPid);
        comparer?.forget(nsPid);
      });
      const found = new Map<Tracked, readonly ScannedRun[]>();
      const look = async (): Promise<void> => {
        for (const process of tracked.all()) {
          found.set(process, await scanPages(process.pid));
        }
        if (tracking !== 'soft-dirty') return;
        // Not one by one: what two processes share (vfork(2)) would look clean to the second.
        for (const { pid } of tracked.all()) await forgetWrites(pid).catch(() => undefined);
      };
      await (tracking === 'soft-dirty' ? pause(look) : look());
      if (comparer !== undefined) await sendChanged(found, out, false);
      else await sendPieces(piecesAhead(found), out, false);
    },
    async rest(processes, lazy, follows) {
      // Processes of which the target has what was another process's.
      const replaced = new Set<number>();
      await tracked.update(processes, async (nsPid) => {
        replaced.add(nsPid);
        comparer?.forget(nsPid);
      });
      const compares = tracking === 'digest' && !follows;
      const lacking = await lackingPages(lazy, tracked, (nsPid) => {
        if (replaced.has(nsPid) || (tracking === 'digest' && follows)) return 'stale';
        return tracking === 'digest' ? 'wanted' : undefined;
      });
      return { ...lacking, all: lazy, compares };
    },
    async send({ wanted, compares }, out, asked) {
      if (!compares) await sendPieces(piecesOfRest(wanted, tracked, asked), out, true);
      else await sendChanged(runsOf(wanted, tracked), out, true);
    },
    async close() {
      await comparer?.close();
      await tracked.close();
    },
  };
}

/** What the target lacks of the pages that CRIU has listed, and has in an old form. */
async function lackingPages(
  lazy: readonly ProcessPages[],
  tracked: TrackedProcesses,
  all: (nsPid: number) => 'wanted' | 'stale' | undefined,
): Promise<Pick<RestOfMemory, 'wanted' | 'stale'>> {
  const wanted: ProcessPages[] = [];
  const stale: ProcessPages[] = [];
  for (const { pid, runs } of lazy) {
    const process = tracked.get(pid);
    if (process === undefined) {
      throw new MigrateError('DUMP_FAILED', `process ${pid} of the job is gone`);
    }
    const whole = all(pid);
    if (whole !== undefined) {
      wanted.push({ pid, runs });
      if (whole === 'stale') stale.push({ pid, runs });
      continue;
    }
    const { known } = process;
    const dirty = await dirtyPages(process.pid);
    const fresh = runs.flatMap((run) => known.split(run, (value) => value !== sentPage));
    const old = overlap(runs, dirty).flatMap((run) => known.split(run, (v) => v === sentPage));
    wanted.push({ pid, runs: [...fresh, ...old] });
    stale.push({ pid, runs: old });
  }
  return { wanted, stale };
}

function* piecesAhead(found: ReadonlyMap<Tracked, readonly ScannedRun[]>): Iterable<Piece> {
  for (const [{ memory, nsPid, known }, runs] of found) {
    for (const run of runs) {
      const lacking = run.isDirty ? [run] : known.split(run, (value) => value !== sentPage);
      yield* piecesOf(memory, nsPid, lacking);
    }
  }
}

function* runsOf(
  wanted: readonly ProcessPages[],
  tracked: Pick<TrackedProcesses, 'get'>,
): Iterable<readonly [Tracked, readonly PageRun[]]> {
  for (const { pid, runs } of wanted) {
    const process = tracked.get(pid);
    if (process !== undefined) yield [process, runs];
  }
}

/** Runs cut where regions end. */
function* comparePieces(
  pid: number,
  nsPid: number,
  runs: readonly PageRun[],
): Iterable<ComparePiece> {
  for (const run of runs) {
    const end = endOf(run);
    for (let start = run.start; start < end; ) {
      const next = Math.min(end, (Math.floor(start / regionBytes) + 1) * regionBytes);
      yield { pid, nsPid, start, pages: (next - start) / pageBytes };
      start = next;
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
