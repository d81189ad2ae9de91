import { asMigrateError, type JobLocation, MigrateError } from '../base/errors.ts';
import type { UndoStack } from '../base/undo.ts';
import { isFrozen } from '../host/cgroup.ts';
import type { JobRecord } from '../job/record.ts';
import { stateOf } from '../job/registry.ts';
import { type Journal, removeJournal } from './journal.ts';

/**
 * What a failed move ends with. Before the commit everything is undone and the job runs on here;
 * after it nothing is, because only the target knows: the job stays frozen until `recover`.
 */
export async function explainFailure(
  error: unknown,
  what: {
    readonly job: JobRecord;
    readonly undo: UndoStack;
    readonly committed: boolean;
    readonly journal: Journal | undefined;
  },
): Promise<MigrateError> {
  const first = asMigrateError(error);
  if (what.committed && first.code === 'MEMORY_LOST') {
    await what.journal?.write('lost').catch(() => undefined);
    return memoryLost(what.job.name, first);
  }
  if (what.committed) {
    await what.journal?.write('halted').catch(() => undefined);
    const { phase = 'resume', side } = first.details;
    const said =
      phase === 'post-copy' ? 'memory did not follow the job' : 'no answer to the commit';
    return new MigrateError('HALTED_UNKNOWN', `${said}: ${first.message}`, {
      phase,
      ...(side === undefined ? {} : { side }),
      location: 'unknown',
      hint: `type \`migrate recover ${what.job.name}\` on this host`,
      cause: first,
    });
  }
  await what.journal?.write('rolling-back').catch(() => undefined);
  const failures = await what.undo.rollback();
  const location = await locate(what.job);
  const isSettled = location === 'source-running' || location === 'ended';
  // For anything else the journal is what `recover` goes by.
  if (isSettled && what.journal !== undefined) await removeJournal(what.journal.id, 'source');
  if (location === 'source-running') {
    const hint = first.details.hint ?? failures[0]?.message;
    return first.with({ location, ...(hint === undefined ? {} : { hint }) });
  }
  if (location === 'ended') {
    const said = `the job ended meanwhile: ${first.message}`;
    return new MigrateError('JOB_ENDED', said, { ...first.details, location, cause: first });
  }
  return new MigrateError(
    location === 'source-frozen' ? 'HALTED_FROZEN' : 'INTERNAL',
    `${first.message}; then the rollback failed: ${failures[0]?.message ?? 'no reason given'}`,
    { location, hint: `type \`migrate recover ${what.job.name}\` on this host`, cause: first },
  );
}

/** The job is not: what is left of it is its copy of before the commit. */
function memoryLost(job: string, cause: MigrateError): MigrateError {
  const said = `${job} ran there and was lost while its memory followed: ${cause.message}`;
  return new MigrateError('MEMORY_LOST', said, {
    side: 'target',
    location: 'source-frozen',
    hint:
      `\`migrate recover ${job} --lost resume\` lets its copy here go on from the freeze, ` +
      '`--lost end` ends it',
    cause,
  });
}

async function locate(job: JobRecord): Promise<JobLocation> {
  if ((await stateOf(job)) === 'ended') return 'ended';
  return (await isFrozen(job.cgroup)) ? 'source-frozen' : 'source-running';
}
