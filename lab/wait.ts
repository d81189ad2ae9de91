import { setTimeout as sleep } from 'node:timers/promises';

/** Asks until the answer is yes or the time is up; says which of the two it was. */
export async function waitUntil(question: Question, limit: WaitLimit): Promise<boolean> {
  const end = Date.now() + limit.forMs;
  while (!(await question())) {
    if (Date.now() > end) return false;
    await sleep(limit.everyMs);
  }
  return true;
}

export type Question = () => boolean | Promise<boolean>;

export interface WaitLimit {
  readonly forMs: number;
  readonly everyMs: number;
}
