import { memoryLimits } from '../limits.ts';

/** Pages of one process to compare with what they were; inside of one region. */
export interface ComparePiece {
  /** As this host numbers it, and as its own PID namespace does. */
  readonly pid: number;
  readonly nsPid: number;
  readonly start: number;
  readonly pages: number;
}

/** What a thread is told. */
export type CompareOrder =
  | {
      readonly type: 'compare';
      readonly pieces: readonly ComparePiece[];
      /** A page that can't be read is a failure; otherwise it is left out. */
      readonly mustBeThere: boolean;
    }
  /** A buffer that comes back. */
  | { readonly type: 'buffer'; readonly buffer: ArrayBuffer }
  /** Another process has this number now. */
  | { readonly type: 'forget'; readonly nsPid: number };

/** What a thread answers: pages that differ, in the buffer that they were read into. */
export type CompareNews =
  | {
      readonly type: 'changed';
      readonly nsPid: number;
      readonly start: number;
      /** First page and number of pages of each run, counted from `start`. */
      readonly runs: readonly (readonly [number, number])[];
      readonly buffer: ArrayBuffer;
    }
  | { readonly type: 'done' }
  | { readonly type: 'failed'; readonly message: string };

export const regionBytes = memoryLimits.regionPages * memoryLimits.pageBytes;
