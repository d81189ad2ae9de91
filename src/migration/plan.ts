import { arch } from 'node:os';
import { MigrateError, type Side } from '../base/errors.ts';
import { type Problem, tellProblems } from '../base/problems.ts';
import { type Survey, surveyJob } from '../checkpoint/survey.ts';
import { type CriuFacts, checkCriu, hasFeature } from '../criu/check.ts';
import { isNetnsJob, type JobRecord } from '../job/record.ts';
import { hasZstd } from '../memory/codec.ts';
import { canScan } from '../memory/scan.ts';
import { parseInterfaceAddress } from '../network/address.ts';
import { captureNetwork } from '../network/l2/capture.ts';
import type { NetworkState } from '../network/l2/state.ts';
import { isSame } from '../network/l3/settings.ts';
import { chooseMode, type MemoryPlan } from './choose-mode.ts';
import type { MoveMode } from './events.ts';
import { identityOf } from './identity.ts';
import type { CompressWish } from './measure.ts';
import type { PlanAnswer, PrepareRequest } from './protocol.ts';
import type { Target } from './target-link.ts';

/** What both sides know before anything is touched. */
export interface AgreedPlan {
  readonly survey: Survey;
  readonly criu: CriuFacts;
  readonly answer: PlanAnswer;
  readonly memory: MemoryPlan;
  /** Both hosts have zstd. */
  readonly canPack: boolean;
  /** What will differ on the target, and is no reason to stay. */
  readonly warnings: readonly string[];
}

/** Looks at both hosts; PLAN_REFUSED names every reason why the move would fail. */
export async function planMove(
  job: JobRecord,
  target: Target,
  { mode, compress }: { readonly mode: MoveMode; readonly compress?: CompressWish },
): Promise<AgreedPlan> {
  refuseOwnPath(job, target);
  const [survey, criu, network] = await Promise.all([surveyJob(job), checkCriu(), networkOf(job)]);
  const answer = await target.plan({
    job: identityOf(job),
    memoryBytes: survey.memoryBytes,
    arch: arch(),
    ...(network === undefined ? {} : { network }),
  });
  const memory = chooseMode({
    wish: mode,
    memoryBytes: survey.memoryBytes,
    notLazy: await notLazy(job, answer),
    softDirty: await hasFeature('mem_dirty_track'),
  });
  const canPack = answer.zstd && (await hasZstd());
  const here = [
    ...survey.socketReport.impossible,
    ...('message' in memory ? [memory] : []),
    ...(compress === 'zstd' && !canPack ? [noZstd] : []),
  ];
  refusePlan([...here, ...answer.problems], here.length > 0 ? 'source' : 'target');
  if ('message' in memory) throw new MigrateError('INTERNAL', 'a refused plan goes on');
  const warnings = [...answer.warnings, ...(network?.warnings ?? [])];
  return { survey, criu, answer, memory, canPack, warnings };
}

/** Why a job's memory must travel inside of its images. */
async function notLazy(job: JobRecord, answer: PlanAnswer): Promise<string | undefined> {
  if (job.kind === 'l2' && isNetnsJob(job.name)) {
    return 'the memory of a named namespace travels inside of its images';
  }
  if (!answer.lazy) return 'the target has no userfaultfd(2) that follows a program (uffd-noncoop)';
  if (await canScan()) return undefined;
  return "the source's kernel has no PAGEMAP_SCAN (Linux 6.7)";
}

const noZstd: Problem = {
  message: '--compress zstd needs the program zstd on both hosts',
  hint: 'install the package zstd, or leave --compress away',
};

/** Throws PLAN_REFUSED, a line for each problem. */
export function refusePlan(problems: readonly Problem[], side: Side): void {
  if (problems.length === 0) return;
  const { message, hint } = tellProblems(problems);
  throw new MigrateError('PLAN_REFUSED', message, {
    side,
    location: 'source-running',
    ...(hint === undefined ? {} : { hint }),
  });
}

/** What cannot be carried is refused here, by name, before anything is touched. */
async function networkOf(job: JobRecord): Promise<NetworkState | undefined> {
  return job.netns === undefined ? undefined : captureNetwork({ path: job.netns });
}

/** A connection from an address that is about to move ends when the target takes it. */
function refuseOwnPath(job: JobRecord, { leavesFrom }: Target): void {
  if (job.kind !== 'l3' || leavesFrom === undefined) return;
  if (!job.ip.some((one) => isSame(parseInterfaceAddress(one).address, leavesFrom))) return;
  throw new MigrateError(
    'PLAN_REFUSED',
    `the connection to the target leaves from ${leavesFrom}, which is the job's own address`,
    {
      side: 'source',
      location: 'source-running',
      hint: 'deprecate it (`ip addr change ... preferred_lft 0`), or set BindAddress in ~/.ssh/config',
    },
  );
}

/** What the target must know of a namespace's trees before their images come. */
export function treesToPrepare(trees: Survey['trees']): Pick<PrepareRequest, 'trees'> {
  if (trees === undefined) return {};
  return {
    trees: trees.map(({ group, members }) => ({ group, pids: members.map(({ nsPid }) => nsPid) })),
  };
}
