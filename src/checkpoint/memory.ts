import { readLazyPages } from '../criu/pagemap.ts';
import { cgroupPids, freezeCgroups, thawCgroup } from '../host/cgroup.ts';
import { nowMs } from '../host/clock.ts';
import { pidsOf, readProcess } from '../host/proc.ts';
import type { StoredJob } from '../job/record.ts';
import { type AskedPages, createAskedPages } from '../memory/asked.ts';
import type { ThreadEntry } from '../memory/compare/comparer.ts';
import { type ProcessPages, pagesOf } from '../memory/pages.ts';
import { sampleMemory } from '../memory/sample.ts';
import { createMemorySource, type RestOfMemory, type Tracking } from '../memory/source.ts';
import type { ProcessToSend } from '../memory/tracked.ts';
import { createRecordWriter, type SentPages, type Write } from '../memory/write-records.ts';

/** What one round of sending came to. */
export interface MemoryRound extends SentPages {
  /** How long the job was stopped for it, milliseconds. */
  readonly pausedMs: number;
}

/** The memory of a job on its way to the target, ahead of the freeze and after it. */
export interface JobMemory {
  /** A round while the job runs: what the target lacks, by all of these streams. */
  ahead(writes: readonly Write[]): Promise<MemoryRound>;
  /** Of the frozen job, whose images list its pages: what the target lacks. */
  rest(images: string, follows: boolean): Promise<RestOfMemory>;
  /** Tells which pages are old over there; no round may be under way. */
  tellStale(rest: RestOfMemory, write: Write): Promise<void>;
  /** Sends the rest, by all of these streams. */
  send(rest: RestOfMemory, writes: readonly Write[]): Promise<MemoryRound>;
  /** What the job waits for over there, and whether all else may be sent: `send` goes by it. */
  readonly asked: AskedPages;
  /** A part of it, from all over: what a codec makes of it is what it makes of the whole. */
  sample(bytesMax: number): Promise<Buffer>;
  close(): Promise<void>;
}

/** A job that can't be stopped for an instant can't be frozen either. */
const pauseTimeoutMs = 5_000;

export function openJobMemory(job: StoredJob, tracking: Tracking, thread: ThreadEntry): JobMemory {
  const source = createMemorySource(tracking, thread);
  const asked = createAskedPages();
  return {
    asked,
    async ahead(writes) {
      const out = createRecordWriter(writes);
      let pausedMs = 0;
      await source.ahead(await processesOf(job), out, async (work) => {
        const from = nowMs();
        try {
          await freezeCgroups([job.cgroup], pauseTimeoutMs);
          await work();
        } finally {
          await thawCgroup(job.cgroup);
          pausedMs = nowMs() - from;
        }
      });
      await out.end();
      return { ...out.sent, pausedMs };
    },
    async rest(images, follows) {
      return source.rest(await processesOf(job), await readLazyPages(images), follows);
    },
    async tellStale({ stale }, write) {
      const out = createRecordWriter([write]);
      for (const { pid, runs } of stale) {
        for (const run of runs) await out.stale(pid, run);
      }
      await out.end();
    },
    async send(rest, writes) {
      const out = createRecordWriter(writes);
      await source.send(rest, out, asked);
      await out.end();
      return { ...out.sent, pausedMs: 0 };
    },
    sample: async (bytesMax) => sampleMemory(await processesOf(job), bytesMax),
    close: () => source.close(),
  };
}

/** Pages in a list, all processes together. */
export function countPages(all: readonly ProcessPages[]): number {
  return all.reduce((sum, { runs }) => sum + pagesOf(runs), 0);
}

async function processesOf(job: StoredJob): Promise<ProcessToSend[]> {
  const found = await Promise.all(
    (await cgroupPids(job.cgroup)).map(async (pid): Promise<ProcessToSend | undefined> => {
      const [stat, pids] = await Promise.all([readProcess(pid), pidsOf(pid)]);
      if (stat === undefined) return undefined;
      return { pid, nsPid: pids[1] ?? pid, startTime: stat.startTime };
    }),
  );
  return found.filter((one) => one !== undefined);
}
