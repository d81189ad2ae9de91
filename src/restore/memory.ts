import { join } from 'node:path';
import type { UndoStack } from '../base/undo.ts';
import { readLazyPages } from '../criu/pagemap.ts';
import { killCgroup } from '../host/cgroup.ts';
import { markLost } from '../memory/pager/find.ts';
import { type Pager, startPager } from '../memory/pager/start.ts';
import type { ProcessPages } from '../memory/pages.ts';
import { openPageStore } from '../memory/store.ts';

/** The memory of a job that is restored lazily, from its first round to its last page. */
export interface ArrivingMemory {
  /** Reads a stream of it. */
  receive(source: AsyncIterable<Uint8Array>): Promise<void>;
  /** The images are there: CRIU may restore from them. */
  expect(images: string): Promise<void>;
  /** The pager may give out what is there; what is not, the job waits for. */
  open(): void;
  /** No pages come any more: the job is killed if it lacks one. */
  abandon(): void;
  /** No images will come: whoever waits for them hears why. */
  fail(error: unknown): void;
  /** Waits for the images. TRANSFER_FAILED if a page that they list has not come. */
  complete(): Promise<void>;
  /** Resolves when the job has all of it; rejects when it was killed for want of a page. */
  readonly settled: Promise<void>;
}

export interface MemoryWish {
  readonly work: string;
  /** The memory file system of the images. */
  readonly images: string;
  readonly cgroup: string;
  /** The job waits for these pages. */
  onWanted(pages: ProcessPages): void;
}

/** Starts the pager, so that the frozen window need not. */
export async function openArrivingMemory(
  wish: MemoryWish,
  undo: UndoStack,
): Promise<ArrivingMemory> {
  const store = await openPageStore(join(wish.images, 'memory'));
  let pager: Pager | undefined;
  undo.push('pager', async () => {
    await killCgroup(wish.cgroup);
    pager?.kill();
    await pager?.done.catch(() => undefined);
    store.close();
  });
  pager = await startPager({
    work: wish.work,
    memory: store.directory,
    cgroup: wish.cgroup,
    onWanted(slot) {
      const pages = store.pageAt(slot);
      if (pages !== undefined) wish.onWanted(pages);
    },
  });
  const { done, wake, abandon } = pager;
  const settled = done.then(
    () => store.close(),
    async (error: unknown) => {
      // Whoever killed the pager made the kernel hand out zeros for what it had not brought.
      await killCgroup(wish.cgroup);
      await markLost(store.directory).catch(() => undefined);
      throw error;
    },
  );
  // Whoever waits for it hears of a failure; nobody does when the job was undone.
  settled.catch(() => undefined);
  let tell: { listed(): void; failed(error: unknown): void } | undefined;
  const listed = new Promise<void>((resolve, reject) => {
    tell = { listed: resolve, failed: reject };
  });
  listed.catch(() => undefined);
  return {
    receive: (source) => store.receive(source),
    async expect(images) {
      await store.list(await readLazyPages(images));
      tell?.listed();
    },
    open: () => store.publish(wake),
    abandon,
    fail: (error) => tell?.failed(error),
    async complete() {
      await listed;
      store.assertComplete();
    },
    settled,
  };
}
