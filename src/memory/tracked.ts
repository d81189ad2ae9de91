import type { FileHandle } from 'node:fs/promises';
import { createPageTable, type PageTable } from './pages.ts';
import { openMemory } from './process-memory.ts';

/** A process of the job, as this host and as its own PID namespace number it. */
export interface ProcessToSend {
  readonly pid: number;
  readonly nsPid: number;
  /** With the pid it names one process for ever. */
  readonly startTime: number;
}

/** A process whose memory can be read, and what the target has of it. */
export interface Tracked extends ProcessToSend {
  readonly memory: FileHandle;
  /** `sentPage` for each page that was sent. */
  readonly known: PageTable;
}

export const sentPage = 1;

/** The processes of a job whose memory is on its way, by the numbers that records go by. */
export interface TrackedProcesses {
  /**
   * Processes come and go while the job runs; a number that comes again is another process, and
   * `forget` hears of it.
   */
  update(
    processes: readonly ProcessToSend[],
    forget: (nsPid: number) => Promise<void>,
  ): Promise<void>;
  get(nsPid: number): Tracked | undefined;
  all(): Iterable<Tracked>;
  close(): Promise<void>;
}

export function trackProcesses(): TrackedProcesses {
  const tracked = new Map<number, Tracked>();
  return {
    async update(processes, forget) {
      for (const process of processes) {
        const before = tracked.get(process.nsPid);
        const isSame = before?.startTime === process.startTime && before.pid === process.pid;
        // Opened anew each time: a program that was executed since has another memory.
        await before?.memory.close();
        tracked.delete(process.nsPid);
        const memory = await openMemory(process.pid);
        if (before !== undefined && !isSame) await forget(process.nsPid);
        if (memory === undefined) continue;
        const known = isSame ? before.known : createPageTable();
        tracked.set(process.nsPid, { ...process, memory, known });
      }
    },
    get: (nsPid) => tracked.get(nsPid),
    all: () => tracked.values(),
    async close() {
      for (const { memory } of tracked.values()) await memory.close();
      tracked.clear();
    },
  };
}
