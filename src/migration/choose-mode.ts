import type { Problem } from '../base/problems.ts';
import type { Tracking } from '../memory/source.ts';
import type { MoveMode } from './events.ts';

/** What both hosts can do about a job's memory, and what somebody wishes. */
export interface ModeFacts {
  readonly wish: MoveMode;
  readonly memoryBytes: number;
  /** Why its memory must travel inside of its images; undefined if it need not. */
  readonly notLazy: string | undefined;
  /** Whether the source's kernel tracks what a program writes to. */
  readonly softDirty: boolean;
}

/** How the memory of a job moves: data, decided before anything is touched. */
export interface MemoryPlan {
  readonly mode: Exclude<MoveMode, 'auto'>;
  /** Its pages travel beside the images, and the job runs before they are in their places. */
  readonly lazy: boolean;
  readonly tracking: Tracking;
  /** One sentence: why this mode. */
  readonly why: string;
  /** `auto` may still go over to post-copy, if nothing else keeps `--max-frozen`. */
  readonly mayFollow: boolean;
}

/** Sent inside of CRIU's images it takes the time that a round of pre-copy needs to begin. */
export const smallJobBytes = 32 * 1024 * 1024;

/** The plan, or why the mode that was asked for can't be had. */
export function chooseMode(facts: ModeFacts): MemoryPlan | Problem {
  const { wish, notLazy, softDirty, memoryBytes } = facts;
  const images = { mode: 'stop-copy', lazy: false, tracking: 'none', mayFollow: false } as const;
  const isSmall = memoryBytes <= smallJobBytes;
  if (wish === 'stop-copy') {
    return { ...images, lazy: notLazy === undefined && !isSmall, why: 'it was asked for' };
  }
  if (notLazy !== undefined) {
    if (wish === 'auto') return { ...images, why: notLazy };
    return { message: `--mode ${wish} is not possible: ${notLazy}`, hint: 'use --mode stop-copy' };
  }
  const tracking: Tracking = softDirty ? 'soft-dirty' : 'digest';
  const common = { lazy: true, mayFollow: false };
  switch (wish) {
    case 'pre-copy':
      return { ...common, mode: 'pre-copy', tracking, why: 'it was asked for' };
    case 'post-copy': {
      // Digests are known only when all has been read again, and the job would wait for that.
      const ahead = softDirty ? 'soft-dirty' : 'none';
      return { ...common, mode: 'post-copy', tracking: ahead, why: 'it was asked for' };
    }
    case 'auto':
      if (isSmall) return { ...images, why: 'its memory is small' };
      return {
        ...common,
        mode: 'pre-copy',
        tracking,
        mayFollow: true,
        why: softDirty
          ? "the source's kernel tracks what is written to"
          : "the source's kernel does not track writes: what was sent is compared",
      };
  }
}

/** What the owner of a job must know before it is touched. */
export function warningsOf({ mode }: MemoryPlan): string[] {
  return mode === 'post-copy' ? [postCopyWarning] : [];
}

/** The same when `auto` goes over to post-copy. */
export const postCopyWarning =
  'post-copy: until its last page has arrived, the job is lost if a host or the network fails';
