export type { JobLocation } from './base/errors.ts';
export { readLog } from './job/log.ts';
export type { JobRecord, JobSpec } from './job/record.ts';
export { findJob, listJobs } from './job/registry.ts';
export { serveCompare } from './memory/compare/thread.ts';
export { runAgent } from './migration/agent.ts';
export { type CheckpointResult, checkpointJob } from './migration/checkpoint-file.ts';
export type { ChannelsWish } from './migration/choose-lanes.ts';
export { type MoveOptions, moveJob } from './migration/coordinator.ts';
export type { MoveEvent, MoveMode, MoveResult, Phase, PhaseName } from './migration/events.ts';
export { extractBundle, showBundle, verifyBundle } from './migration/inspect.ts';
export type { CompressWish } from './migration/measure.ts';
export {
  type LostWish,
  listMoves,
  type MoveStatus,
  type Recovery,
  recoverJobs,
} from './migration/recover.ts';
export { type RestoredJob, restoreJob } from './migration/restore-file.ts';
export { execInJob, removeJob, runJob, stopJob } from './migration/run-job.ts';
