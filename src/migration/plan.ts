import { arch } from 'node:os';
import { MigrateError } from '../base/errors.ts';
import { type Survey, surveyJob } from '../checkpoint/survey.ts';
import { type CriuFacts, checkCriu } from '../criu/check.ts';
import type { JobRecord } from '../job/record.ts';
import { identityOf } from './identity.ts';
import type { PlanAnswer } from './protocol.ts';
import type { Target } from './target-link.ts';

/** What both sides know before anything is touched. */
export interface AgreedPlan {
  readonly survey: Survey;
  readonly criu: CriuFacts;
  readonly answer: PlanAnswer;
}

/** Looks at both hosts; PLAN_REFUSED names every reason why the move would fail. */
export async function planMove(job: JobRecord, target: Target): Promise<AgreedPlan> {
  const [survey, criu] = await Promise.all([surveyJob(job), checkCriu()]);
  const answer = await target.plan({
    job: identityOf(job),
    memoryBytes: survey.memoryBytes,
    arch: arch(),
  });
  const [first, ...others] = answer.problems;
  if (first === undefined) return { survey, criu, answer };
  const more = others.map(({ message }) => `; ${message}`).join('');
  throw new MigrateError('PLAN_REFUSED', `${first.message}${more}`, {
    side: 'target',
    location: 'source-running',
    ...(first.hint === undefined ? {} : { hint: first.hint }),
  });
}
