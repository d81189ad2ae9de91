import { expect, onTestFinished, test } from 'vitest';
import { createAskedPages } from '../../../src/memory/asked.ts';
import type { ProcessPages } from '../../../src/memory/pages.ts';
import { canScan } from '../../../src/memory/scan.ts';
import {
  createMemorySource,
  type MemorySource,
  type RestOfMemory,
  type Tracking,
} from '../../../src/memory/source.ts';
import { codeOf, inPieces } from '../bundle/samples.ts';
import { type MemoryChild, startMemoryChild } from './child.ts';
import { type Arrived, arrived, pageBytes, written } from './samples.ts';

const scans = await canScan();
const testScan = test.skipIf(!scans); // PAGEMAP_SCAN: Linux 6.7
const thread = { file: new URL('../../fixtures/compare-thread.mjs', import.meta.url) };
const nsPid = 5;
const pages = 600;

function openSource(tracking: Tracking): MemorySource {
  const source = createMemorySource(tracking, thread);
  onTestFinished(() => source.close());
  return source;
}

/** A child with `pages` pages, the content of each its number; the last one is not written to. */
async function startChild(): Promise<MemoryChild> {
  const child = await startMemoryChild(pages);
  for (let page = 0; page < pages - 1; page += 1) await child.fill(page, byteOf(page));
  return child;
}

function byteOf(page: number): number {
  return 1 + (page % 255);
}

function asProcess({ pid, startTime }: MemoryChild) {
  return [{ pid, startTime, nsPid }];
}

/** What came of the child's own pages: number and first byte. */
function bytesIn({ pages: came }: Arrived, { start }: MemoryChild): [number, number][] {
  return Array.from({ length: pages }, (_, page): [number, number | undefined] => [
    page,
    came.get(`${nsPid}:${start + page * pageBytes}`)?.[1],
  ]).filter((one): one is [number, number] => one[1] !== undefined);
}

async function round(source: MemorySource, child: MemoryChild, onPause = () => undefined) {
  const bytes = await written((out) =>
    source.ahead(asProcess(child), out, async (work) => {
      onPause();
      await work();
    }),
  );
  return arrived(inPieces(bytes));
}

async function sendAll(source: MemorySource, rest: RestOfMemory): Promise<Arrived> {
  const asked = createAskedPages();
  asked.release();
  return arrived(inPieces(await written((out) => source.send(rest, out, asked))));
}

function listed({ start }: MemoryChild, count = pages - 1): ProcessPages[] {
  return [{ pid: nsPid, runs: [{ start, pages: count }] }];
}

const everything = Array.from({ length: pages - 1 }, (_, page) => [page, byteOf(page)]);

testScan('digest: a round sends what has changed since the last one', async () => {
  const [child, source] = [await startChild(), openSource('digest')];
  let paused = false;
  const first = await round(source, child, () => {
    paused = true;
  });
  expect(bytesIn(first, child)).toEqual(everything);
  expect(bytesIn(await round(source, child), child)).toEqual([]);
  await child.fill(3, 200);
  await child.fill(511, byteOf(511));
  await child.fill(pages - 1, 9);
  await child.fill(7, 0);
  expect(bytesIn(await round(source, child), child)).toEqual([
    [3, 200],
    [7, 0],
    [pages - 1, 9],
  ]);
  expect(paused).toBe(false);
});

testScan('digest: of the rest, which is all, only what has changed is sent', async () => {
  const [child, source] = [await startChild(), openSource('digest')];
  await round(source, child);
  await child.fill(4, 201);
  const all = listed(child);
  const rest = await source.rest(asProcess(child), all, false);
  expect(rest).toEqual({ all, wanted: all, stale: [], compares: true });
  expect(bytesIn(await sendAll(source, rest), child)).toEqual([[4, 201]]);
});

testScan('digest: what follows the job is stale and sent again, all of it', async () => {
  const [child, source] = [await startChild(), openSource('digest')];
  await round(source, child);
  const all = listed(child);
  const rest = await source.rest(asProcess(child), all, true);
  expect(rest).toEqual({ all, wanted: all, stale: all, compares: false });
  expect(bytesIn(await sendAll(source, rest), child)).toEqual(everything);
});

testScan('soft-dirty: pages that are new are sent, and the job is paused', async () => {
  const [child, source] = [await startChild(), openSource('soft-dirty')];
  let pauses = 0;
  const count = () => {
    pauses += 1;
    return undefined;
  };
  expect(bytesIn(await round(source, child, count), child)).toEqual(everything);
  await child.fill(pages - 1, 9);
  expect(bytesIn(await round(source, child, count), child)).toEqual([[pages - 1, 9]]);
  expect(pauses).toBe(2);
  const rest = await source.rest(asProcess(child), listed(child, pages), true);
  expect(rest).toMatchObject({ wanted: [{ runs: [] }], stale: [{ runs: [] }], compares: false });
});

test('none: the rest is all, and nothing is stale', async () => {
  const [child, source] = [await startChild(), openSource('none')];
  const all = listed(child);
  const rest = await source.rest(asProcess(child), all, true);
  expect(rest).toMatchObject({ all, wanted: all, stale: [{ pid: nsPid, runs: [] }] });
  expect(bytesIn(await sendAll(source, rest), child)).toEqual(everything);
});

test('what is asked for is sent at once, all else when it is released', async () => {
  const [child, source] = [await startChild(), openSource('none')];
  const rest = await source.rest(asProcess(child), listed(child), true);
  const asked = createAskedPages();
  const pieces: Buffer[] = [];
  const { createRecordWriter } = await import('../../../src/memory/write-records.ts');
  let came = (): void => undefined;
  const out = createRecordWriter([
    async (bytes) => {
      pieces.push(Buffer.from(bytes));
      came();
    },
  ]);
  const sending = source.send(rest, out, asked);
  for (const page of [301, 17]) {
    const arrival = new Promise<void>((resolve) => {
      came = resolve;
    });
    asked.ask({ pid: nsPid, runs: [{ start: child.start + page * pageBytes, pages: 1 }] });
    await arrival;
    expect(
      pieces
        .at(-1)
        ?.subarray(24)
        .equals(Buffer.alloc(pageBytes, byteOf(page))),
    ).toBe(true);
  }
  // A process that nobody knows is nobody's.
  asked.ask({ pid: nsPid + 1, runs: [{ start: child.start, pages: 1 }] });
  expect(pieces).toHaveLength(2);
  asked.release();
  await sending;
  await out.end();
  expect(bytesIn(await arrived(inPieces(Buffer.concat(pieces))), child)).toEqual(everything);
});

testScan('a process that takes the number of another one is sent anew', async () => {
  const [first, second, source] = [await startChild(), await startChild(), openSource('digest')];
  await round(source, first);
  const { notes, pages: came } = await round(source, second);
  expect(notes.filter(({ kind }) => kind === 'forget')).toMatchObject([{ pid: nsPid }]);
  expect(bytesIn({ notes, pages: came }, second)).toEqual(everything);
});

testScan('what the target has of a number that is reused is stale', async () => {
  const [first, second, source] = [
    await startChild(),
    await startChild(),
    openSource('soft-dirty'),
  ];
  await round(source, first);
  const all = listed(second);
  expect(await source.rest(asProcess(second), all, true)).toMatchObject({
    wanted: all,
    stale: all,
  });
});

test('a page or a process that is not there any more ends the dump', async () => {
  const [child, source] = [await startChild(), openSource('none')];
  const rest = await source.rest(asProcess(child), listed(child), false);
  await child.guard(9);
  expect(await codeOf(sendAll(source, rest))).toBe('DUMP_FAILED');
  const unknown = [{ pid: nsPid + 1, runs: [] }];
  expect(await codeOf(source.rest(asProcess(child), unknown, false))).toBe('DUMP_FAILED');
});

testScan('threads that die fail the round, and not the program', async () => {
  const child = await startMemoryChild(1);
  const file = new URL('nowhere.mjs', import.meta.url);
  const source = createMemorySource('digest', { file });
  onTestFinished(() => source.close());
  await expect(round(source, child)).rejects.toThrow('nowhere.mjs');
  await expect(round(source, child)).rejects.toThrow('nowhere.mjs');
});
