import type { StoredJob } from '../../job/record.ts';
import { groupSettings, type SocketSettings } from '../../network/sockets/settings.ts';
import { type TellingLine, tellTogether } from '../../network/sockets/tell.ts';
import { classify, type Verdict } from './classify.ts';
import type { JobSockets, OpenEnd } from './facts.ts';
import { readSockets, type SocketsWish } from './read.ts';

/** What a move would do to a job's sockets. */
export interface SocketReport {
  /** Each line is a reason why the job cannot move, with the way out. */
  readonly impossible: readonly TellingLine[];
  /** Each line is something that does not arrive. */
  readonly lost: readonly string[];
  /** What CRIU forgets and the target sets again. */
  readonly settings: readonly SocketSettings[];
  /** Inodes of the unix sockets, for `reportFrozen`. */
  readonly unixInodes: ReadonlySet<number>;
}

/** Looks at the sockets of a job that runs; `pids` are its processes, as this host numbers them. */
export function reportSockets(job: StoredJob, pids: readonly number[]): SocketReport {
  return reportOn(readSockets(wishOf(job, pids)));
}

/**
 * Looks again while the job is frozen and CRIU dumps it, which costs no frozen time. CRIU has put a
 * unix socket of its own into each process: those that came since the plan are not judged.
 */
export function reportFrozen(
  job: StoredJob,
  pids: readonly number[],
  planned: SocketReport,
): SocketReport {
  const found = readSockets(wishOf(job, pids));
  return reportOn(
    found,
    (end) => end.ring === true || end.diag?.table !== 'unix' || planned.unixInodes.has(end.inode),
  );
}

function wishOf(job: StoredJob, pids: readonly number[]): SocketsWish {
  const wish = { pids, initPid: job.initPid };
  return job.kind === 'l3' ? { ...wish, device: job.device } : wish;
}

function reportOn(job: JobSockets, isJudged?: (end: OpenEnd) => boolean): SocketReport {
  const verdicts = classify(job, isJudged);
  const lines = (grade: Verdict['grade']): TellingLine[] =>
    tellTogether(
      verdicts
        .filter((verdict) => verdict.grade === grade)
        .map(({ holder, what, hint }) => ({
          ...holder,
          what,
          ...(hint === undefined ? {} : { hint }),
        })),
    );
  const sockets = job.ends.flatMap((end) => (end.ring === true ? [] : [end]));
  const carried = sockets
    .map(({ answers }) => answers.settings)
    .filter(({ options, groups }) => options.length > 0 || groups.length > 0);
  const { settings, left } = groupSettings(carried);
  const tooMany = `options of ${left} sockets are too many to move`;
  return {
    impossible: lines('impossible'),
    lost: [...lines('lost').map(({ message }) => message), ...(left > 0 ? [tooMany] : [])],
    settings,
    unixInodes: new Set(
      sockets.filter(({ diag }) => diag?.table === 'unix').map(({ inode }) => inode),
    ),
  };
}
