import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { execaSync } from 'execa';
import { onTestFinished } from 'vitest';
import { memoryLimits } from '../../src/memory/limits.ts';
import { memoryWasLost } from '../../src/memory/pager/find.ts';
import { pagerBase64 } from '../../src/memory/pager/program.ts';
import { openPageStore, type PageStore } from '../../src/memory/store.ts';
import { createRecordWriter } from '../../src/memory/write-records.ts';

const { pageBytes } = memoryLimits;
/** What paged.c tells CRIU's successor. */
const pid = 7;
const waitMs = 30_000;

/** A process of paged.c, the pager that gives it its pages, and the store that they come from. */
export interface Paged {
  readonly pager: ChildProcess;
  readonly client: ChildProcess;
  /** Pages that were asked for, as often as they were. */
  wantedPages(): number[];
  /** Puts pages into the store; the pager hears of it. */
  arrive(pages: readonly number[]): Promise<void>;
  /** The client goes on. */
  tell(): void;
  /** The next line that the client says. */
  line(): Promise<string>;
  /** Resolves when a page is asked for. */
  want(page: number): Promise<void>;
  /** The end of whoever fills the store. */
  agentDies(): void;
  /** Exit statuses of both, or of the one that is meant. */
  pagerEnds(): Promise<number>;
  clientEnds(): Promise<number>;
  /** What was written into the job's cgroup.kill. */
  killed(): string;
  /** Whether it left the mark of a job whose memory was lost. */
  lost(): Promise<boolean>;
}

export interface PagedWish {
  readonly pages: number;
  readonly what: string;
  /** Those that have not come when the client begins. */
  readonly late?: readonly number[];
  readonly seed?: number;
  /** Descriptors that the pager may have. */
  readonly filesMax?: number;
}

/** What paged.c expects of a page. */
function contentOf(page: number): Buffer {
  const content = Buffer.alloc(pageBytes);
  if (page % 7 === 3) return content;
  for (let word = 0; word < pageBytes / 8; word += 1) {
    content.writeBigUInt64LE(BigInt(page * 1_000_003 + word + 1), word * 8);
  }
  return content;
}

/** Compiles paged.c; once for all tests of a file. */
export function compilePaged(directory: string): string {
  const program = join(directory, 'paged');
  const source = new URL('../workloads/paged.c', import.meta.url).pathname;
  execaSync('gcc', ['-O2', '-Wall', '-Wextra', '-Werror', '-pthread', '-o', program, source]);
  return program;
}

export async function startPaged(program: string, wish: PagedWish): Promise<Paged> {
  const { directory, work, memory, cgroup } = makePlaces();
  const ends: (() => void)[] = [];
  onTestFinished(() => {
    for (const end of ends) end();
    rmSync(directory, { recursive: true });
  });
  const store = await openPageStore(memory);
  ends.push(() => store.close());
  const pager = startPager(work, memory, cgroup, wish.filesMax);
  ends.push(() => pager.kill('SIGKILL'));
  const [news, wants] = [pager.stdio[3], pager.stdio[4] as Readable];
  news?.on('error', () => undefined);
  const pagerEnded = once(pager, 'exit');
  const wanted = readWants(wants, store);
  await limited(once(wants, 'data'), 'the pager is not ready');

  const socket = join(work, 'lazy-pages.socket');
  const args = [socket, String(wish.pages), wish.what, String(wish.seed ?? 1)];
  const client = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  ends.push(() => client.kill('SIGKILL'));
  client.stdin.on('error', () => undefined);
  const clientEnded = once(client, 'exit');
  const lines = createInterface({ input: client.stdout })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => {
    const next = await limited(lines.next(), 'the client says nothing');
    return next.done === true ? 'the end' : next.value;
  };
  const start = Number((await line()).replace('at ', ''));
  const tell = (): void => void client.stdin.write('go\n');
  const arrive = (pages: readonly number[]): Promise<void> => receive(store, start, pages);

  const late = new Set(wish.late);
  await arrive(Array.from({ length: wish.pages }, (_, page) => page).filter((p) => !late.has(p)));
  await store.list([{ pid, runs: [{ start, pages: wish.pages }] }]);
  store.publish(() => {
    if (news !== null && news !== undefined && 'write' in news) news.write('.');
  });
  tell();
  const wantedPages = (): number[] => {
    return wanted.addresses().map((address) => (address - start) / pageBytes);
  };
  return {
    ...{ pager, client, arrive, tell, line, wantedPages },
    async want(page) {
      await until(() => wantedPages().includes(page), `page ${page} is not asked for`);
    },
    agentDies() {
      news?.destroy();
      wants.destroy();
    },
    pagerEnds: async () => statusOf(await limited(pagerEnded, 'the pager does not end')),
    clientEnds: async () => statusOf(await limited(clientEnded, 'the client does not end')),
    killed: () => readFileSync(join(cgroup, 'cgroup.kill'), 'utf8'),
    lost: () => memoryWasLost(memory),
  };
}

/** Waits for something that is looked at again and again. */
export async function until(isSo: () => boolean, otherwise: string): Promise<void> {
  for (let left = waitMs; !isSo(); left -= 5) {
    if (left < 0) throw new Error(otherwise);
    await sleep(5);
  }
}

function makePlaces() {
  const directory = mkdtempSync('/dev/shm/pager-test-');
  const work = join(directory, 'work');
  const memory = join(directory, 'memory');
  const cgroup = join(directory, 'cgroup');
  mkdirSync(work);
  mkdirSync(cgroup);
  writeFileSync(join(cgroup, 'cgroup.kill'), '');
  const program = join(work, 'pager');
  writeFileSync(program, Buffer.from(pagerBase64, 'base64'));
  chmodSync(program, 0o700);
  return { directory, work, memory, cgroup };
}

function startPager(work: string, memory: string, cgroup: string, filesMax = 1024): ChildProcess {
  const enter = `ulimit -n ${filesMax}; exec "$@"`;
  const args = [join(work, 'pager'), work, memory, join(cgroup, 'cgroup.kill')];
  return spawn('sh', ['-c', enter, 'sh', ...args], {
    stdio: ['ignore', 'ignore', 'inherit', 'pipe', 'pipe'],
  });
}

function readWants(wants: Readable, store: PageStore): { addresses(): number[] } {
  const slots: number[] = [];
  let rest: Buffer = Buffer.alloc(0);
  let isReady = false;
  wants.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, isReady ? chunk : chunk.subarray(1)]);
    isReady = true;
    for (; rest.length >= 8; rest = rest.subarray(8)) {
      slots.push(Number(rest.readBigUInt64LE(0)));
    }
  });
  wants.on('error', () => undefined);
  return { addresses: () => slots.map((slot) => store.pageAt(slot)?.runs[0]?.start ?? -1) };
}

async function receive(store: PageStore, start: number, pages: readonly number[]): Promise<void> {
  const pieces: Buffer[] = [];
  const out = createRecordWriter([async (bytes) => void pieces.push(Buffer.from(bytes))]);
  for (const page of pages) await out.pages(pid, start + page * pageBytes, contentOf(page));
  await out.end();
  await store.receive(
    (async function* () {
      yield* pieces;
    })(),
  );
}

async function limited<T>(promise: Promise<T>, otherwise: string): Promise<T> {
  const abort = new AbortController();
  const late = sleep(waitMs, undefined, { signal: abort.signal }).then(
    () => {
      throw new Error(otherwise);
    },
    () => promise,
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    abort.abort();
  }
}

function statusOf([code, signal]: unknown[]): number {
  return typeof code === 'number' ? code : signal === null ? -1 : 128;
}
