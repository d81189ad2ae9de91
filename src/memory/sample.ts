import { memoryLimits } from './limits.ts';
import { type PageRun, pagesOf } from './pages.ts';
import { openMemory, type Piece, piecesOf, readPieces } from './process-memory.ts';
import { scanPages } from './scan.ts';

const { pageBytes } = memoryLimits;
/** Taken from each place: what a codec sees of neighbours is most of what it gains. */
const stretchPages = 32;

/** Pages from all over the memory of some processes, a stretch here and there. */
export async function sampleMemory(
  processes: readonly { readonly pid: number }[],
  bytesMax: number,
): Promise<Buffer> {
  const opened = await Promise.all(
    processes.map(async ({ pid }) => {
      const [memory, runs] = [await openMemory(pid), await scanPages(pid)];
      return memory === undefined ? undefined : { pid, memory, runs };
    }),
  );
  const found = opened.filter((one) => one !== undefined);
  const all = found.reduce((sum, { runs }) => sum + pagesOf(runs), 0);
  const every = Math.max(1, Math.ceil((all * pageBytes) / bytesMax));
  const parts: Buffer[] = [];
  try {
    const pieces = found.flatMap(({ pid, memory, runs }): Piece[] => [
      ...piecesOf(memory, pid, stretches(runs, every)),
    ]);
    await readPieces(
      pieces,
      false,
      async (_, __, content) => void parts.push(Buffer.from(content)),
    );
  } finally {
    for (const { memory } of found) await memory.close();
  }
  return Buffer.concat(parts).subarray(0, bytesMax);
}

/** One stretch of `every` in a row. */
function* stretches(runs: readonly PageRun[], every: number): Iterable<PageRun> {
  let number = 0;
  for (const { start, pages } of runs) {
    for (let at = 0; at < pages; at += stretchPages) {
      if (number % every === 0) {
        yield { start: start + at * pageBytes, pages: Math.min(stretchPages, pages - at) };
      }
      number += 1;
    }
  }
}
