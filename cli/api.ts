import type { JobLocation, JobRecord } from '../src/index.ts';

/** What the commands ask of src/; a test gives them another one. */
export type Api = typeof import('../src/index.ts') & FileApi;

/** Loads the heavy half of the program only when a command needs it. */
export async function loadApi(): Promise<Api> {
  return (await import('../src/index.ts')) as Api;
}

/** Jobs in files, and moves that were cut off. */
interface FileApi {
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
}

interface CheckpointResult {
  readonly bytes: number;
  readonly memoryBytes: number;
  readonly frozenMs: number;
  readonly sha256: string;
}

interface MoveStatus {
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
