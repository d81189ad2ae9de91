import { memoryLimits } from './limits.ts';
import { createPageTable, type PageRun, type PageTable } from './pages.ts';

/** The place of each page of each process in a store: whichever order they come in. */
export interface Slots {
  /** Slots of a run, in runs that lie side by side; a page that is new gets the next one. */
  runsOf(pid: number, run: PageRun): Iterable<SlotRun>;
  /** Its pages get new ones when they come again. */
  forget(pid: number): void;
  /** Slots that were given out, and are never given to another page. */
  readonly count: number;
}

/** Slots that lie side by side for pages that do. */
export interface SlotRun {
  /** Page of the run that the first of them is for. */
  readonly at: number;
  readonly slot: number;
  readonly pages: number;
}

const { pageBytes } = memoryLimits;

export function createSlots(): Slots {
  /** A slot and 1, because a table's 0 is for pages that have none. */
  const tables = new Map<number, PageTable>();
  let count = 0;

  function tableOf(pid: number): PageTable {
    let table = tables.get(pid);
    if (table === undefined) {
      table = createPageTable();
      tables.set(pid, table);
    }
    return table;
  }

  function slotOf(table: PageTable, address: number): number {
    const known = table.get(address);
    if (known > 0) return known - 1;
    count += 1;
    table.set(address, count);
    return count - 1;
  }

  return {
    *runsOf(pid, { start, pages }) {
      const table = tableOf(pid);
      let first = 0;
      let from = 0;
      for (let at = 0; at <= pages; at += 1) {
        const slot = at < pages ? slotOf(table, start + at * pageBytes) : -1;
        if (at > 0 && slot !== first + (at - from)) {
          yield { at: from, slot: first, pages: at - from };
          from = at;
        }
        if (at === from) first = slot;
      }
    },
    forget: (pid) => void tables.delete(pid),
    get count() {
      return count;
    },
  };
}
