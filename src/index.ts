export type { JobLocation } from './base/errors.ts';
export { readLog } from './job/log.ts';
export type { JobRecord, JobSpec } from './job/record.ts';
export { findJob, listJobs } from './job/registry.ts';
export { runAgent } from './migration/agent.ts';
export { type MoveOptions, moveJob } from './migration/coordinator.ts';
export type { MoveEvent, MoveMode, MoveResult, Phase, PhaseName } from './migration/events.ts';
export { execInJob, removeJob, runJob, stopJob } from './migration/run-job.ts';
