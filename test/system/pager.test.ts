import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, test } from 'vitest';
import { compileNative } from '../../scripts/build-native.ts';
import { pagerBase64 } from '../../src/memory/pager/program.ts';
import { startPager } from '../../src/memory/pager/start.ts';
import { openPageStore } from '../../src/memory/store.ts';
import { compilePaged, type Paged, type PagedWish, startPaged, until } from '../support/paged.ts';

const directory = mkdtempSync(join(tmpdir(), 'pager-test-'));
const program = compilePaged(directory);
afterAll(() => rmSync(directory, { recursive: true }));

const start = (wish: PagedWish) => startPaged(program, wish);
const pages = 2048;
/** Enough to do something while they are filled in. */
const many = 32_768;
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => from + at);

async function endsWell(paged: Paged): Promise<void> {
  expect(await paged.line()).toBe('right');
  expect(await paged.clientEnds()).toBe(0);
  expect(await paged.pagerEnds()).toBe(0);
  expect(paged.killed()).toBe('');
  expect(await paged.lost()).toBe(false);
}

async function endsInLoss(paged: Paged): Promise<void> {
  expect(await paged.pagerEnds()).toBe(3);
  expect(paged.killed()).toBe('1');
  expect(await paged.lost()).toBe(true);
}

/** Waits until so many pages of the client are in its memory. */
async function untilFilled({ client }: Paged, count = (pages / 7) * 6 - 1): Promise<void> {
  // Anonymous memory, kB: what is a file's of it is there from the beginning.
  const resident = () =>
    Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${client.pid}/status`, 'utf8'))?.[1]) / 4;
  await until(() => resident() > count, 'the pages are not filled in');
}

test('the pager that is checked in is the source compiled', () => {
  expect(compileNative('pager').toString('base64')).toBe(pagerBase64);
});

describe('every byte is right', () => {
  it.each(['threads', 'change', 'change-threads', 'fork'])('%s, all of it there', async (what) => {
    const paged = await start({ pages, what });
    await endsWell(paged);
    expect(paged.wantedPages()).toEqual([]);
  });

  it.each(['threads', 'change', 'change-threads', 'fork'])(
    '%s, none of it there: what is touched is asked for, and all else comes by itself',
    async (what) => {
      const paged = await start({ pages, what, late: range(0, pages) });
      const order = range(0, pages).reverse();
      const fill = (async () => {
        while (order.length > 0) await paged.arrive(order.splice(0, 100));
      })();
      await endsWell(paged);
      await fill;
    },
  );

  it('pages that nobody touches come too', async () => {
    const paged = await start({ pages, what: 'wait', late: range(500, 600) });
    await paged.arrive(range(500, 600));
    expect(await paged.pagerEnds()).toBe(0);
    expect(paged.wantedPages()).toEqual([]);
    paged.tell();
    expect(await paged.line()).toBe('right');
    expect(paged.killed()).toBe('');
  });

  it('a page that is late is asked for by its slot, and waited for', async () => {
    const paged = await start({ pages, what: 'touch', late: [0, 3] });
    await paged.want(0);
    await paged.arrive([3]);
    await paged.arrive([0]);
    await endsWell(paged);
  });

  it.each([1, 2, 3, 4])('whatever is done to it: seed %d', async (seed) => {
    const paged = await start({ pages, what: 'chaos', seed, late: range(0, pages) });
    await paged.want(0);
    for (let from = pages; from > 0; from -= 64) await paged.arrive(range(from - 64, from));
    await endsWell(paged);
  });
});

describe('whoever waits is let go', () => {
  it.each(['unmap-under', 'move-under'])('%s: its page was taken away', async (what) => {
    const paged = await start({ pages, what, late: [0, 1] });
    await paged.want(0);
    paged.tell();
    expect(await paged.line()).toBe('let go');
    await paged.arrive([0, 1]);
    await endsWell(paged);
  });

  it('a thread that is interrupted again and again asks once', async () => {
    const paged = await start({ pages, what: 'alarm', late: [0] });
    await paged.want(0);
    const from = performance.now();
    await until(() => performance.now() - from > 500, 'time stands still');
    const seconds = (performance.now() - from) / 1000;
    expect(paged.wantedPages().length).toBeLessThanOrEqual(2 + seconds);
    await paged.arrive([0]);
    await endsWell(paged);
  });

  it('a page is not asked for again while others are filled in', async () => {
    const paged = await start({ pages: many, what: 'touch', late: [0] });
    const from = performance.now();
    await paged.want(0);
    await untilFilled(paged, (many / 7) * 6 - 1);
    const seconds = (performance.now() - from) / 1000;
    expect(paged.wantedPages().length).toBeLessThanOrEqual(2 + seconds);
    await paged.arrive([0]);
    await endsWell(paged);
  });

  it('children that have ended hold no descriptors', async () => {
    const paged = await start({ pages, what: 'children', late: [0], filesMax: 128 });
    expect(await paged.line()).toBe('forked');
    await paged.arrive([0]);
    await endsWell(paged);
  });
});

describe('when whoever fills the store has died', () => {
  it('a job is killed whose page can not come any more', async () => {
    const paged = await start({ pages, what: 'touch', late: [0] });
    await paged.want(0);
    paged.agentDies();
    await endsInLoss(paged);
  });

  it('so it is when nobody has touched that page', async () => {
    const paged = await start({ pages, what: 'wait', late: [pages - 1] });
    await untilFilled(paged);
    paged.agentDies();
    await endsInLoss(paged);
  });

  it('so it is when the page is touched at that moment', async () => {
    const paged = await start({ pages, what: 'wait', late: [0] });
    await untilFilled(paged);
    paged.pager.kill('SIGSTOP');
    paged.tell();
    const waits = () => readFileSync(`/proc/${paged.client.pid}/wchan`, 'utf8');
    await until(() => waits() === 'handle_userfault', 'the client does not wait');
    paged.agentDies();
    paged.pager.kill('SIGCONT');
    await endsInLoss(paged);
  });

  it('so it is while it is being restored', async () => {
    const paged = await start({ pages, what: 'unfinished', late: [0] });
    await paged.want(0);
    paged.agentDies();
    await endsInLoss(paged);
  });

  it('a job lives that has all its pages in the store', async () => {
    const paged = await start({ pages: many, what: 'wait' });
    await untilFilled(paged, 200);
    paged.agentDies();
    paged.tell();
    await endsWell(paged);
  });

  it('so it does when the last ones came in a place that was passed already', async () => {
    const paged = await start({ pages: many, what: 'wait', late: range(0, 16) });
    await untilFilled(paged, 1024);
    paged.pager.kill('SIGSTOP');
    await paged.arrive(range(0, 16));
    paged.agentDies();
    paged.pager.kill('SIGCONT');
    expect(await paged.pagerEnds()).toBe(0);
    expect(paged.killed()).toBe('');
    paged.tell();
    expect(await paged.line()).toBe('right');
  });
});

test('signals that end others do not end it: its descriptors would read as zeros', async () => {
  const paged = await start({ pages, what: 'touch', late: [0] });
  await paged.want(0);
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGPIPE'] as const)
    paged.pager.kill(signal);
  await paged.arrive([0]);
  await endsWell(paged);
});

test('CRIU that ends before it has restored all takes the job with it', async () => {
  const paged = await start({ pages, what: 'broken' });
  expect(await paged.pagerEnds()).toBe(1);
  expect(paged.killed()).toBe('1');
  expect(await paged.lost()).toBe(false);
});

test('it says when CRIU may come, and what it is that was wrong', async () => {
  const [work, cgroup] = [join(directory, 'work'), join(directory, 'group', 'job')];
  mkdirSync(work);
  mkdirSync(cgroup, { recursive: true });
  writeFileSync(join(cgroup, 'cgroup.kill'), '');
  const store = await openPageStore(join(directory, 'memory'));
  const wish = { work, memory: store.directory, cgroup, onWanted: () => undefined };
  const pager = await startPager(wish);
  pager.kill();
  await expect(pager.done).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
  const nowhere = { ...wish, memory: join(directory, 'nowhere') };
  await expect(startPager(nowhere)).rejects.toThrow('the pager ended with status 2');
  store.close();
});
