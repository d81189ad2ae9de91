import { memoryLimits } from './limits.ts';

/** Pages of one process that lie side by side. */
export interface PageRun {
  /** Address of the first one, bytes. */
  readonly start: number;
  readonly pages: number;
}

/** The runs of one process, by its number in its own PID namespace: what CRIU's images go by. */
export interface ProcessPages {
  readonly pid: number;
  readonly runs: readonly PageRun[];
}

const { pageBytes, regionPages } = memoryLimits;

/** A number for each page of an address space, 0 unless set. */
export interface PageTable {
  get(address: number): number;
  set(address: number, value: number): void;
  /** The parts of a run whose values satisfy `isWanted`. */
  split(run: PageRun, isWanted: (value: number) => boolean): PageRun[];
}

export function createPageTable(): PageTable {
  const regions = new Map<number, Uint32Array>();
  // Neighbours are asked for one after the other.
  let lastKey = -1;
  let last: Uint32Array | undefined;
  const regionOf = (page: number): Uint32Array | undefined => {
    const key = Math.floor(page / regionPages);
    if (key !== lastKey) {
      lastKey = key;
      last = regions.get(key);
    }
    return last;
  };
  const get = (address: number): number => {
    const page = address / pageBytes;
    return regionOf(page)?.[page % regionPages] ?? 0;
  };
  return {
    get,
    set(address, value) {
      const page = address / pageBytes;
      let region = regionOf(page);
      if (region === undefined) {
        region = new Uint32Array(regionPages);
        regions.set(lastKey, region);
        last = region;
      }
      region[page % regionPages] = value;
    },
    split({ start, pages }, isWanted) {
      const found: PageRun[] = [];
      let from = -1;
      for (let at = 0; at <= pages; at += 1) {
        const wanted = at < pages && isWanted(get(start + at * pageBytes));
        if (wanted && from < 0) from = at;
        if (!wanted && from >= 0) {
          found.push({ start: start + from * pageBytes, pages: at - from });
          from = -1;
        }
      }
      return found;
    },
  };
}

export function pagesOf(runs: readonly PageRun[]): number {
  return runs.reduce((sum, { pages }) => sum + pages, 0);
}
