import type { JobLocation } from '../src/base/errors.ts';

/** What the commands ask of src/; a test gives them another one. */
export interface Api {
  runJob(spec: JobSpec): Promise<JobRecord>;
  listJobs(): Promise<JobRecord[]>;
  findJob(name: string): Promise<JobRecord>;
  execInJob(name: string, command: readonly string[], options: { tty?: boolean }): Promise<number>;
  readLog(name: string, options: { follow?: boolean }): AsyncIterable<Uint8Array>;
  stopJob(name: string, options: { timeoutMs?: number }): Promise<void>;
  removeJob(name: string): Promise<void>;
  moveJob(job: string, host: string, options: MoveOptions): Promise<MoveResult>;
  checkpointJob(
    job: string,
    file: string,
    options: { leaveRunning: boolean },
  ): Promise<CheckpointResult>;
  restoreJob(file: string, options: { name?: string }): Promise<JobRecord>;
  showBundle(file: string): Promise<object>;
  verifyBundle(file: string): Promise<{ bytes: number; sha256: string }>;
  extractBundle(file: string, dir: string): Promise<void>;
  listMoves(): Promise<MoveStatus[]>;
  recoverJobs(job?: string): Promise<Recovery[]>;
  runAgent(): Promise<void>;
}

/** Loads the heavy half of the program only when a command needs it. */
export async function loadApi(): Promise<Api> {
  return (await import('../src/index.ts')) as unknown as Api;
}

export type JobKind = 'l3' | 'l2';

export interface JobSpec {
  readonly name: string;
  readonly kind: JobKind;
  readonly ip: string[];
  readonly dev?: string;
  readonly bridge?: string;
  readonly gateway?: string;
  readonly rootfs?: string;
  readonly user?: string;
  readonly command: string[];
}

export interface JobRecord extends JobSpec {
  readonly state: 'running' | 'moving' | 'ended' | 'frozen';
  readonly initPid: number;
  readonly cgroup: string;
  readonly createdAt: string;
  readonly logPath: string;
  readonly loopback?: { readonly v4: string; readonly v6: string };
  readonly netns?: string;
}

export interface MoveOptions {
  readonly mode: 'auto' | 'stop-copy';
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  onEvent(event: MoveEvent): void;
}

export type MoveEvent =
  | {
      readonly type: 'begin';
      readonly id: string;
      readonly job: string;
      readonly kind: JobKind;
      readonly target: string;
    }
  | { readonly type: 'phase'; readonly name: string; readonly startMs: number }
  | { readonly type: 'progress'; readonly name: string; readonly wireBytes: number }
  | { readonly type: 'warning'; readonly message: string };

export interface MoveResult {
  readonly type: 'result';
  readonly job: string;
  readonly target: string;
  readonly location: JobLocation;
  readonly frozenMs: number;
  readonly totalMs: number;
  readonly memoryBytes: number;
  readonly wireBytes: number;
  readonly warnings: readonly string[];
}

export interface CheckpointResult {
  readonly bytes: number;
  readonly memoryBytes: number;
  readonly frozenMs: number;
  readonly sha256: string;
}

export interface MoveStatus {
  readonly job: string;
  readonly id: string;
  readonly target: string;
  readonly state: string;
  readonly location: JobLocation;
}

export interface Recovery {
  readonly job: string;
  readonly id: string;
  readonly action: string;
  readonly location: JobLocation;
}
