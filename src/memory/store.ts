import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MigrateError } from '../base/errors.ts';
import { makePrivateDirectory } from '../host/files.ts';
import { memoryLimits } from './limits.ts';
import type { PageRun, ProcessPages } from './pages.ts';
import { readRecords } from './read-records.ts';
import type { PageRecord } from './records.ts';
import { createSlots } from './slots.ts';

/**
 * A job's memory on the target, in a directory of a memory file system: each page has a slot in the
 * file `store` and keeps it when it comes again. The files `index` and `state` tell the pager where
 * everything is; see pager/pager.c.
 */
export interface PageStore {
  readonly directory: string;
  /** Reads one stream of records to its end; throws what `readRecords` throws. */
  receive(source: AsyncIterable<Uint8Array>): Promise<void>;
  /** CRIU's list of the pages that are restored lazily: makes the index. Once. */
  list(lazy: readonly ProcessPages[]): Promise<void>;
  /** From here on the pager sees what is in the store, and what comes. After `list`. */
  publish(onChange: () => void): void;
  /** Throws TRANSFER_FAILED that names the first page of the list that has not come. */
  assertComplete(): void;
  /** Which page a slot of the list is for. */
  pageAt(slot: number): ProcessPages | undefined;
  /**
   * What comes afterwards is read and counted, and kept nowhere: a job that has unmapped the last
   * pages has all that it needs before they have come.
   */
  close(): void;
}

/** What the pager knows of a slot. */
const slotState = { missing: 0, stored: 1, zero: 2 } as const;
const { pageBytes } = memoryLimits;
/** struct run of pager.c: pid u32, unused u32, start u64, pages u64, slot u64. */
const runBytes = 32;
/** They double when there are more slots. */
const statesMin = 4096;

interface IndexRun extends PageRun {
  readonly pid: number;
  readonly slot: number;
}

export async function openPageStore(directory: string): Promise<PageStore> {
  await makePrivateDirectory(directory);
  const store = openSync(join(directory, 'store'), 'wx+', 0o600);
  const stateFile = openSync(join(directory, 'state'), 'wx+', 0o600);
  const slots = createSlots();
  let states = Buffer.alloc(statesMin);
  let index: IndexRun[] = [];
  let onChange: (() => void) | undefined;
  let isClosed = false;

  function growStates(): void {
    while (states.length < slots.count) {
      states = Buffer.concat([states, Buffer.alloc(states.length)]);
    }
  }

  function setState(slot: number, pages: number, value: number): void {
    growStates();
    states.fill(value, slot, slot + pages);
    if (onChange === undefined || isClosed) return;
    writeSync(stateFile, states, slot, pages, slot);
    onChange();
  }

  return {
    directory,
    receive: (source) =>
      readRecords(source, {
        data(record, content) {
          for (const { at, slot, pages } of slots.runsOf(record.pid, runOf(record))) {
            const bytes = content.subarray(at * pageBytes, (at + pages) * pageBytes);
            if (!isClosed) writeFully(store, bytes, slot * pageBytes);
            setState(slot, pages, slotState.stored);
          }
        },
        note(record) {
          if (record.kind === 'forget') return slots.forget(record.pid);
          const value = record.kind === 'zero' ? slotState.zero : slotState.missing;
          for (const { slot, pages } of slots.runsOf(record.pid, runOf(record))) {
            setState(slot, pages, value);
          }
        },
      }),
    async list(lazy) {
      index = lazy.flatMap(({ pid, runs }) =>
        runs.flatMap(({ start, pages }) =>
          Array.from(slots.runsOf(pid, { start, pages }), (run) => {
            return { pid, start: start + run.at * pageBytes, pages: run.pages, slot: run.slot };
          }),
        ),
      );
      growStates();
      await writeFile(join(directory, 'index'), packIndex(index), { mode: 0o600 });
      ftruncateSync(stateFile, slots.count);
    },
    publish(changed) {
      writeFully(stateFile, states.subarray(0, slots.count), 0);
      onChange = changed;
      changed();
    },
    assertComplete() {
      for (const { pid, start, pages, slot } of index) {
        const missing = states.subarray(slot, slot + pages).indexOf(slotState.missing);
        if (missing < 0) continue;
        const address = (start + missing * pageBytes).toString(16);
        throw new MigrateError(
          'TRANSFER_FAILED',
          `page 0x${address} of process ${pid} has not come`,
          { side: 'target' },
        );
      }
    },
    pageAt(wanted) {
      const run = index.find(({ slot, pages }) => wanted >= slot && wanted < slot + pages);
      if (run === undefined) return undefined;
      const start = run.start + (wanted - run.slot) * pageBytes;
      return { pid: run.pid, runs: [{ start, pages: 1 }] };
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      closeSync(store);
      closeSync(stateFile);
    },
  };
}

function runOf({ address, pages }: PageRecord): PageRun {
  return { start: address, pages };
}

function packIndex(index: readonly IndexRun[]): Buffer {
  const packed = Buffer.alloc(index.length * runBytes);
  for (const [at, { pid, start, pages, slot }] of index.entries()) {
    const offset = at * runBytes;
    packed.writeUInt32LE(pid, offset);
    packed.writeBigUInt64LE(BigInt(start), offset + 8);
    packed.writeBigUInt64LE(BigInt(pages), offset + 16);
    packed.writeBigUInt64LE(BigInt(slot), offset + 24);
  }
  return packed;
}

/** Into a memory file system: copied at once, no trip to a thread. */
function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  for (let written = 0; written < bytes.length; ) {
    written += writeSync(fd, bytes, written, bytes.length - written, position + written);
  }
}
