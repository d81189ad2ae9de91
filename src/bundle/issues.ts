import type { z } from 'zod';
import { bundleLimits } from './limits.ts';

/** Every bad path with its reason, on one line: `job.name: not a job name; files.3.id: …`. */
export function describeIssues(error: z.ZodError): string {
  const shown = error.issues
    .slice(0, bundleLimits.issuesReportedMax)
    .map((issue) => `${issue.path.map(String).join('.') || 'value'}: ${issue.message}`);
  const hidden = error.issues.length - shown.length;
  return shown.join('; ') + (hidden > 0 ? `; and ${hidden} more` : '');
}
