import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import type { ProcessPages } from '../../../src/memory/pages.ts';
import { openPageStore, type PageStore } from '../../../src/memory/store.ts';
import type { RecordWriter } from '../../../src/memory/write-records.ts';
import { codeOf, inPieces } from '../bundle/samples.ts';
import { pageBytes, pageOf, written } from './samples.ts';

const zeros = Buffer.alloc(pageBytes);

async function openStore(): Promise<PageStore> {
  const directory = await mkdtemp(join(tmpdir(), 'page-store-'));
  const store = await openPageStore(join(directory, 'memory'));
  onTestFinished(async () => {
    store.close();
    await rm(directory, { recursive: true });
  });
  return store;
}

async function receive(
  store: PageStore,
  send: (out: RecordWriter) => Promise<void>,
): Promise<void> {
  await store.receive(inPieces(await written(send)));
}

/** What pager.c reads: each page of the index with its state and content. */
async function readBack({ directory }: PageStore): Promise<Map<string, Buffer | undefined>> {
  const [index, state, store] = await Promise.all(
    ['index', 'state', 'store'].map((name) => readFile(join(directory, name))),
  );
  const found = new Map<string, Buffer | undefined>();
  if (index === undefined || state === undefined || store === undefined) return found;
  for (let at = 0; at < index.length; at += 32) {
    const pid = index.readUInt32LE(at);
    const [start, pages, slot] = [8, 16, 24].map((field) =>
      Number(index.readBigUInt64LE(at + field)),
    ) as [number, number, number];
    for (let page = 0; page < pages; page += 1) {
      const from = (slot + page) * pageBytes;
      const contents = [undefined, store.subarray(from, from + pageBytes), zeros];
      found.set(`${pid}:${start / pageBytes + page}`, contents[state.readUInt8(slot + page)]);
    }
  }
  return found;
}

function run(pid: number, page: number, pages: number): ProcessPages {
  return { pid, runs: [{ start: page * pageBytes, pages }] };
}

test('pages that come again keep their slot, and the last of them counts', async () => {
  const store = await openStore();
  await receive(store, async (out) => {
    await out.pages(1, 10 * pageBytes, Buffer.concat([pageOf(1), pageOf(2)]));
    await out.pages(2, 10 * pageBytes, pageOf(3));
  });
  await receive(store, (out) => out.pages(1, 11 * pageBytes, pageOf(4)));
  await store.list([run(1, 10, 2), run(2, 10, 1)]);
  store.publish(() => undefined);
  const stored = await readFile(join(store.directory, 'store'));
  expect(stored.equals(Buffer.concat([pageOf(1), pageOf(4), pageOf(3)]))).toBe(true);
  expect([...(await readFile(join(store.directory, 'state')))]).toEqual([1, 1, 1]);
  expect((await readBack(store)).get('1:11')?.equals(pageOf(4))).toBe(true);
  store.assertComplete();
});

test('pages that came in another order are several runs of the index', async () => {
  const store = await openStore();
  await receive(store, async (out) => {
    await out.pages(1, 12 * pageBytes, pageOf(12));
    await out.pages(1, 10 * pageBytes, Buffer.concat([pageOf(10), pageOf(11)]));
  });
  await store.list([run(1, 9, 5)]);
  store.publish(() => undefined);
  const index = await readFile(join(store.directory, 'index'));
  const runs = Array.from({ length: index.length / 32 }, (_, at) =>
    [8, 16, 24].map((field) => Number(index.readBigUInt64LE(at * 32 + field))),
  );
  expect(runs).toEqual([
    [9 * pageBytes, 1, 3],
    [10 * pageBytes, 2, 1],
    [12 * pageBytes, 1, 0],
    [13 * pageBytes, 1, 4],
  ]);
  expect(store.pageAt(2)).toEqual(run(1, 11, 1));
  expect(store.pageAt(4)).toEqual(run(1, 13, 1));
  expect(store.pageAt(5)).toBeUndefined();
});

test('the first page that has not come is named', async () => {
  const store = await openStore();
  await receive(store, (out) => out.pages(7, 0, Buffer.concat([pageOf(0), pageOf(1)])));
  await store.list([run(7, 0, 2), run(8, 0x7f000, 2)]);
  expect(() => store.assertComplete()).toThrow('page 0x7f000000 of process 8 has not come');
  expect(await codeOf((async () => store.assertComplete())())).toBe('TRANSFER_FAILED');
  await receive(store, (out) => out.pages(8, 0x7f000 * pageBytes, zeros));
  expect(() => store.assertComplete()).toThrow('page 0x7f001000 of process 8');
  await receive(store, (out) => out.pages(8, 0x7f001 * pageBytes, pageOf(1)));
  store.assertComplete();
});

test('what is stale has not come until it comes again', async () => {
  const store = await openStore();
  await receive(store, async (out) => {
    await out.pages(1, 0, Buffer.concat([pageOf(1), pageOf(2), zeros]));
    await out.stale(1, { start: pageBytes, pages: 2 });
  });
  await store.list([run(1, 0, 3)]);
  expect(() => store.assertComplete()).toThrow('page 0x1000 of process 1');
  await receive(store, (out) => out.pages(1, pageBytes, Buffer.concat([pageOf(5), pageOf(6)])));
  store.assertComplete();
});

test('what is forgotten is another process: nothing that came of it counts', async () => {
  const store = await openStore();
  await receive(store, async (out) => {
    await out.pages(1, 0, Buffer.concat([pageOf(1), pageOf(2)]));
    await out.pages(2, 0, pageOf(3));
    await out.forget(1);
    await out.pages(1, pageBytes, pageOf(4));
  });
  await store.list([run(1, 0, 2), run(2, 0, 1)]);
  expect(() => store.assertComplete()).toThrow('page 0x0 of process 1');
  store.publish(() => undefined);
  const back = await readBack(store);
  expect(back.get('1:0')).toBeUndefined();
  expect(back.get('1:1')?.equals(pageOf(4))).toBe(true);
  expect(back.get('2:0')?.equals(pageOf(3))).toBe(true);
});

test('once it is published, whoever waits hears of each change and sees it', async () => {
  const store = await openStore();
  await store.list([run(1, 0, 3)]);
  let changes = 0;
  store.publish(() => {
    changes += 1;
  });
  expect(changes).toBe(1);
  const state = async () => [...(await readFile(join(store.directory, 'state')))];
  expect(await state()).toEqual([0, 0, 0]);
  await receive(store, (out) => out.pages(1, 2 * pageBytes, pageOf(1)));
  expect(await state()).toEqual([0, 0, 1]);
  expect(changes).toBe(2);
  await receive(store, (out) => out.pages(1, 0, Buffer.concat([zeros, pageOf(2)])));
  expect(await state()).toEqual([2, 1, 1]);
  expect(changes).toBe(4);
});

test('a stream that is refused throws what its reader throws', async () => {
  const store = await openStore();
  const bytes = await written((out) => out.pages(1, 0, pageOf(1)));
  expect(await codeOf(store.receive(inPieces(bytes.subarray(0, -1))))).toBe('BUNDLE_TRUNCATED');
});

const steps = fc.oneof(
  { weight: 5, arbitrary: fc.tuple(fc.constant('pages' as const), fc.array(fc.nat(3))) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('stale' as const), fc.array(fc.nat(3))) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('forget' as const), fc.constant([])) },
);

test('whatever is said, the pager finds what was said last', async () => {
  const story = fc.array(fc.tuple(fc.integer({ min: 1, max: 2 }), fc.nat(20), steps));
  await fc.assert(
    fc.asyncProperty(fc.array(story, { maxLength: 3 }), async (streams) => {
      const directory = await mkdtemp(join(tmpdir(), 'page-store-'));
      const store = await openPageStore(join(directory, 'memory'));
      const model = new Map<string, Buffer | undefined>();
      for (const stream of streams) {
        await receive(store, async (out) => {
          for (const [pid, first, [what, seeds]] of stream) {
            const contents = seeds.map((seed) => (seed === 0 ? zeros : pageOf(seed)));
            const at = first * pageBytes;
            if (what === 'pages') await out.pages(pid, at, Buffer.concat(contents));
            else if (what === 'stale') await out.stale(pid, { start: at, pages: seeds.length });
            else {
              await out.forget(pid);
              for (const key of model.keys()) if (key.startsWith(`${pid}:`)) model.delete(key);
            }
            for (const [page, content] of contents.entries()) {
              model.set(`${pid}:${first + page}`, what === 'pages' ? content : undefined);
            }
          }
        });
      }
      await store.list([run(1, 0, 30), run(2, 0, 30)]);
      store.publish(() => undefined);
      const back = await readBack(store);
      expect(back.size).toBe(60);
      for (const [key, content] of back) {
        const expected = model.get(key);
        expect(content?.equals(expected ?? Buffer.alloc(0))).toBe(expected && true);
      }
      store.close();
      await rm(directory, { recursive: true });
    }),
    { numRuns: 50 },
  );
});
