import type { AskedPages } from './asked.ts';
import { memoryLimits } from './limits.ts';
import { createPageTable, type PageRun, type PageTable, type ProcessPages } from './pages.ts';
import { type Piece, piecesOf } from './process-memory.ts';
import type { TrackedProcesses } from './tracked.ts';

const { pageBytes } = memoryLimits;

/**
 * What is left of a frozen job, in order: what is asked for first, the rest when
 * it may. Each page once: who asks for one that is on its way already has only to wait.
 */
export async function* piecesOfRest(
  wanted: readonly ProcessPages[],
  tracked: Pick<TrackedProcesses, 'get'>,
  asked: AskedPages,
): AsyncIterable<Piece> {
  const gone = new Map<number, PageTable>();
  function* urgent(): Iterable<Piece> {
    for (let first = asked.next(); first !== undefined; first = asked.next()) {
      const { pid, runs } = first;
      const memory = tracked.get(pid)?.memory;
      if (memory === undefined) continue;
      const left = runs.flatMap((run) => takeLeft(gone, pid, run));
      for (const piece of piecesOf(memory, pid, left)) yield { ...piece, isUrgent: true };
    }
  }
  // Nobody asks before the job runs: its freeze need not wait for this bookkeeping.
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
      else for (const run of takeLeft(gone, pid, piece)) yield { ...piece, ...run };
    }
  }
}

/** The parts of a run that have not gone yet; from now on they have. */
function takeLeft(gone: Map<number, PageTable>, pid: number, { start, pages }: PageRun): PageRun[] {
  const table = gone.get(pid) ?? createPageTable();
  gone.set(pid, table);
  const left = table.split({ start, pages }, (value) => value === 0);
  for (const run of left) {
    for (let at = 0; at < run.pages; at += 1) table.set(run.start + at * pageBytes, 1);
  }
  return left;
}
