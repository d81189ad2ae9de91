import type { ProcessPages } from './pages.ts';

/** Pages that a job waits for on the other host, and the word that all others may follow. */
export interface AskedPages {
  ask(pages: ProcessPages): void;
  /** The other pages may be sent as well. */
  release(): void;
  /** What is asked for next; undefined when nothing is. */
  next(): ProcessPages | undefined;
  /** Resolves at the next `ask`, or when all may be sent; at once if either has happened. */
  wait(): Promise<void>;
  readonly isReleased: boolean;
}

export function createAskedPages(): AskedPages {
  const asked: ProcessPages[] = [];
  let isReleased = false;
  let wake: (() => void) | undefined;
  return {
    ask(pages) {
      asked.push(pages);
      wake?.();
    },
    release() {
      isReleased = true;
      wake?.();
    },
    next: () => asked.shift(),
    async wait() {
      if (isReleased || asked.length > 0) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    },
    get isReleased() {
      return isReleased;
    },
  };
}
