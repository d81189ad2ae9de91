import { describeNetns } from '../checkpoint/netns/describe.ts';
import { isNetnsJob, type JobRecord } from '../job/record.ts';
import { findJob } from '../job/registry.ts';

/** The job that a person means: one of ours by its name, or `netns:NAME` as it is now. */
export function resolveJob(name: string): Promise<JobRecord> {
  return isNetnsJob(name) ? describeNetns(name) : findJob(name);
}
