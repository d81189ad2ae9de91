import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { memoryLimits } from '../../../src/memory/limits.ts';
import { openMemory, piecesOf, readPieces } from '../../../src/memory/process-memory.ts';
import { canScan, forgetWrites, scanPages } from '../../../src/memory/scan.ts';
import { codeOf } from '../bundle/samples.ts';
import { type MemoryChild, startMemoryChild } from './child.ts';
import { pageBytes } from './samples.ts';

const scans = await canScan();
const testScan = test.skipIf(!scans); // PAGEMAP_SCAN: Linux 6.7

/** Of the pages that the child holds by its own will: those that are found. */
async function foundIn({ pid, start }: MemoryChild, pages: number): Promise<number[]> {
  const runs = await scanPages(pid);
  return Array.from({ length: pages }, (_, page) => page).filter((page) =>
    runs.some(
      (run) =>
        run.start <= start + page * pageBytes &&
        start + page * pageBytes < run.start + run.pages * pageBytes,
    ),
  );
}

testScan('pages that hold something are found, in the order of addresses', async () => {
  const child = await startMemoryChild(64);
  expect(await foundIn(child, 64)).toEqual([]);
  for (const page of [0, 1, 5, 63]) await child.fill(page, 7);
  expect(await foundIn(child, 64)).toEqual([0, 1, 5, 63]);
  const runs = await scanPages(child.pid);
  expect(runs).toEqual(runs.toSorted((one, other) => one.start - other.start));
});

testScan("the kernel's zero page and what was dropped are not found", async () => {
  const child = await startMemoryChild(8);
  await child.fill(1, 7);
  await child.fill(2, 7);
  await child.look(4);
  await child.drop(1);
  expect(await foundIn(child, 8)).toEqual([2]);
});

testScan('what belongs to a file or to the kernel is not found', async () => {
  const child = await startMemoryChild(1);
  const runs = await scanPages(child.pid);
  const maps = await readFile(`/proc/${child.pid}/maps`, 'utf8');
  for (const line of maps.trimEnd().split('\n')) {
    if (!/\[v(dso|var|syscall)/.test(line) && / 0 *(\[.*)?$/.test(line)) continue;
    const [from = 0, to = 0] = (line.split(' ')[0] ?? '')
      .split('-')
      .map((word) => Number.parseInt(word, 16));
    expect(runs.filter(({ start }) => start >= from && start < to)).toEqual([]);
  }
});

test('a process that is gone has no pages', async () => {
  const child = await startMemoryChild(1);
  await child.kill();
  expect(await scanPages(child.pid)).toEqual([]);
  expect(await openMemory(child.pid)).toBeUndefined();
  await expect(forgetWrites(child.pid)).rejects.toThrow();
});

test('runs are cut into pieces that a buffer holds', async () => {
  const memory = await openMemory(process.pid);
  if (memory === undefined) throw new Error('no memory');
  const most = memoryLimits.pieceBytes / pageBytes;
  const runs = [
    { start: 0, pages: 2 * most + 1 },
    { start: most * 8 * pageBytes, pages: 1 },
  ];
  const pieces = [...piecesOf(memory, 7, runs)];
  expect(pieces.map(({ start, pages }) => [start / pageBytes, pages])).toEqual([
    [0, most],
    [most, most],
    [2 * most, 1],
    [8 * most, 1],
  ]);
  await memory.close();
});

test('pages are read, those that are not there left out or refused', async () => {
  const child = await startMemoryChild(6);
  for (let page = 0; page < 6; page += 1) await child.fill(page, page + 1);
  await child.guard(0);
  await child.guard(3);
  await child.guard(5);
  const memory = await openMemory(child.pid);
  if (memory === undefined) throw new Error('no memory');
  const read = async (run: { start: number; pages: number }, mustBeThere: boolean) => {
    const bytes: [number, number][] = [];
    await readPieces(piecesOf(memory, 1, [run]), mustBeThere, async (_, address, content) => {
      for (let at = 0; at < content.length; at += pageBytes) {
        const page = (address - child.start + at) / pageBytes;
        bytes.push([page, content[at] ?? 0]);
      }
    });
    return bytes;
  };
  const [all, there] = [
    { start: child.start, pages: 6 },
    { start: child.start + pageBytes, pages: 2 },
  ];
  expect(await read(all, false)).toEqual([
    [1, 2],
    [2, 3],
    [4, 5],
  ]);
  expect(await read(there, true)).toHaveLength(2);
  expect(await codeOf(read(all, true))).toBe('DUMP_FAILED');
  await memory.close();
});
