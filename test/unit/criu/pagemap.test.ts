import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readLazyPages } from '../../../src/criu/pagemap.ts';
import { codeOf } from '../bundle/samples.ts';

/** PE_PARENT, PE_LAZY, PE_PRESENT. */
const [parent, lazy, present] = [1, 2, 4];
const pageBytes = 4096;

function varint(value: number | bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt(value);
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return [...bytes, Number(rest)];
}

/** Fields by number, in protobuf's wire format, with the length before them. */
function message(fields: readonly (readonly [number, number | bigint])[]): Buffer {
  return framed(fields.flatMap(([field, value]) => [...varint(field * 8), ...varint(value)]));
}

function framed(bytes: readonly number[]): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([length, Buffer.from(bytes)]);
}

/** vaddr, compat_nr_pages, flags, nr_pages. */
function entry(page: number, pages: number, flags: number): Buffer {
  return message([
    [1, page * pageBytes],
    [2, Math.min(pages, 0xffff_ffff)],
    [4, flags],
    [5, pages],
  ]);
}

const magic = Buffer.from('1943565480403156', 'hex');
const head = message([[1, 7]]);
const page = BigInt(pageBytes);

function image(...entries: Buffer[]): Buffer {
  return Buffer.concat([magic, head, ...entries]);
}

async function directoryOf(files: Readonly<Record<string, Buffer>>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'pagemap-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(directory, name), content);
  }
  return directory;
}

async function runsOf(content: Buffer) {
  const [found] = await readLazyPages(await directoryOf({ 'pagemap-1.img': content }));
  return found?.runs.map(({ start, pages }) => [start / pageBytes, pages]);
}

test('the lazy pages of each process are listed, no others', async () => {
  const directory = await directoryOf({
    'pagemap-1.img': image(entry(16, 2, present), entry(20, 3, lazy)),
    'pagemap-42.img': image(entry(1, 1, lazy | present), entry(5, 1, parent)),
    'pagemap-shmem-3.img': Buffer.from('something else'),
    'pagemap-01.img': Buffer.from('something else'),
    'pages-1.img': Buffer.alloc(pageBytes),
  });
  const found = await readLazyPages(directory);
  expect(found.toSorted((one, other) => one.pid - other.pid)).toEqual([
    { pid: 1, runs: [{ start: 20 * pageBytes, pages: 3 }] },
    { pid: 42, runs: [{ start: pageBytes, pages: 1 }] },
  ]);
});

test('runs that touch are one, and all are in the order of addresses', async () => {
  const entries = [entry(30, 2, lazy), entry(10, 2, lazy), entry(12, 1, lazy), entry(20, 1, lazy)];
  expect(await runsOf(image(...entries))).toEqual([
    [10, 3],
    [20, 1],
    [30, 2],
  ]);
});

test('an image of older versions counts its pages in another field', async () => {
  const old = message([
    [1, 8 * pageBytes],
    [2, 3],
    [4, lazy],
  ]);
  expect(await runsOf(image(old))).toEqual([[8, 3]]);
});

test('an image of nothing lists nothing', async () => {
  expect(await runsOf(image())).toEqual([]);
});

test('addresses are read to their last bit', async () => {
  const last = 2 ** 35 - 1;
  expect(await runsOf(image(entry(last, 1, lazy)))).toEqual([[last, 1]]);
});

test.each<[string, Buffer]>([
  ['nothing at all', Buffer.alloc(0)],
  ['another magic number', Buffer.concat([Buffer.alloc(8, 1), head])],
  ['half a magic number', magic.subarray(0, 6)],
  ['a length that is cut', Buffer.concat([magic, head, Buffer.alloc(3)])],
  ['a message that is cut', image(entry(1, 1, lazy).subarray(0, -1))],
  ['a length beyond all', Buffer.concat([magic, head, Buffer.alloc(4, 0xff)])],
  ['a number that is cut', image(framed([8, 0x80]))],
  ['a number without an end', image(framed([8, ...Array<number>(12).fill(0xff), 0]))],
  ['a string', image(framed([10, 1, 65]))],
  ['a fixed number', image(framed([13, 1, 2, 3, 4]))],
  [
    'no address',
    image(
      message([
        [4, lazy],
        [5, 1],
      ]),
    ),
  ],
  [
    'no pages',
    image(
      message([
        [1, pageBytes],
        [4, lazy],
      ]),
    ),
  ],
  ['zero pages', image(entry(1, 0, lazy))],
  [
    'an address inside of a page',
    image(
      message([
        [1, 100],
        [4, lazy],
        [5, 1],
      ]),
    ),
  ],
  ['pages beyond all addresses', image(entry(2 ** 35 - 1, 2, lazy))],
  [
    "the kernel's addresses",
    image(
      message([
        [1, 2n ** 63n - page],
        [4, lazy],
        [5, 1],
      ]),
    ),
  ],
  ['more pages than there are', image(entry(1, 2 ** 40, lazy))],
  ['a page twice', image(entry(1, 4, lazy), entry(3, 1, lazy))],
  ['a run twice', image(entry(1, 1, lazy), entry(1, 1, lazy))],
])('refused: %s', async (_, content) => {
  expect(await codeOf(runsOf(content))).toBe('BUNDLE_UNSAFE');
});

test('a directory in place of an image is an error, not an empty list', async () => {
  const directory = await directoryOf({});
  await mkdir(join(directory, 'pagemap-1.img'));
  await expect(readLazyPages(directory)).rejects.toThrow();
});
