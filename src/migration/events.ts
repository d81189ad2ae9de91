import type { JobLocation } from '../base/errors.ts';
import type { Encoding } from '../memory/codec.ts';

/** Names of a move's phases, in order; the same words in the code, the docs and `--json`. */
export const phaseNames = [
  'connect',
  'plan',
  'prepare',
  'measure',
  'pre-copy',
  'rehearse',
  'freeze',
  'lock',
  'dump',
  'transfer',
  'restore',
  'commit',
  'resume',
  'release',
  'post-copy',
  'announce',
  'finish',
] as const;
export type PhaseName = (typeof phaseNames)[number];

export type MoveMode = 'auto' | 'stop-copy' | 'pre-copy' | 'post-copy';
export type JobKind = 'l3' | 'l2';

export interface Phase {
  readonly name: PhaseName;
  /** Milliseconds since the move began, on the source's monotonic clock. */
  readonly startMs: number;
  readonly ms: number;
}

/** Memory on its way once: ahead of the freeze, in it (`final`), or after it. */
export interface Round {
  readonly kind: 'pre-copy' | 'final' | 'post-copy';
  readonly encoding: Encoding;
  /** What was sent, pages of zeros included, and those alone. */
  readonly memoryBytes: number;
  readonly zeroBytes: number;
  readonly wireBytes: number;
  readonly ms: number;
  /** How long the job stood still while the kernel was asked what it had written to. */
  readonly pausedMs: number;
}

export interface SocketCounts {
  readonly listening: number;
  readonly established: number;
  readonly udp: number;
  readonly closed: number;
}

/** What `--json` prints last after a move that was done. */
export interface MoveResult {
  readonly type: 'result';
  readonly id: string;
  readonly job: string;
  readonly kind: JobKind;
  readonly mode: Exclude<MoveMode, 'auto'>;
  readonly source: string;
  readonly target: string;
  readonly location: JobLocation;
  /** First stopped task on the source to last running task on the target, the source's clock. */
  readonly frozenMs: number;
  readonly totalMs: number;
  /** What the last round before the freeze let expect; null without one. */
  readonly predictedFrozenMs: number | null;
  /** Why this mode, in a sentence. */
  readonly modeReason: string;
  readonly memoryBytes: number;
  readonly wireBytes: number;
  readonly rounds: readonly Round[];
  /** How many SSH channels memory went by. */
  readonly channels: number;
  readonly phases: readonly Phase[];
  readonly sockets: SocketCounts;
  /** Packets for the job that waited on the source during the switch, and those with no room. */
  readonly packets: { readonly held: number; readonly dropped: number };
  readonly warnings: readonly string[];
}

/** What a move tells while it runs: the only output of src/; cli/ decides how it looks. */
export type MoveEvent =
  | {
      readonly type: 'begin';
      readonly id: string;
      readonly job: string;
      readonly kind: JobKind;
      readonly target: string;
    }
  | { readonly type: 'phase'; readonly name: PhaseName; readonly startMs: number }
  | { readonly type: 'progress'; readonly name: PhaseName; readonly wireBytes: number }
  | { readonly type: 'warning'; readonly message: string };
