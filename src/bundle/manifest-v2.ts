import { z } from 'zod';
import { MigrateError } from '../base/errors.ts';
import { describeIssues } from './issues.ts';
import { jobCommon, kernelId, l2Fields, manifestSchemaV1 } from './manifest-v1.ts';
import { netnsJobName } from './names.ts';
import { treesMax } from './sections.ts';

/**
 * One process tree of the job, in the order of its images section. Trees of one group lived in one
 * PID namespace and are restored into one.
 */
const tree = z.strictObject({
  /** Its first process, in its own PID namespace. */
  pid: kernelId.min(1),
  group: z
    .int()
    .min(0)
    .max(treesMax - 1),
  /** Every process of it, at the time of the plan. */
  pids: z.array(kernelId.min(1)).min(1).max(32_768),
});

const netnsJob = z.strictObject({
  ...jobCommon,
  ...l2Fields,
  name: netnsJobName,
  cgroupName: netnsJobName,
  trees: z.array(tree).min(1).max(treesMax),
});

/** The manifest of version 2: a named network namespace with all process trees in it. */
const manifestSchemaV2 = manifestSchemaV1.extend({
  format: z.strictObject({ version: z.literal(2) }),
  job: netnsJob,
});

export type ManifestV2 = z.infer<typeof manifestSchemaV2>;

/** Throws BUNDLE_UNSAFE that names every bad path. */
export function assertManifestV2(value: unknown): ManifestV2 {
  const result = manifestSchemaV2.safeParse(value);
  if (result.success) return result.data;
  throw new MigrateError('BUNDLE_UNSAFE', `the manifest is wrong: ${describeIssues(result.error)}`);
}
