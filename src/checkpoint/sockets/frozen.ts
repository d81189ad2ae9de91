import { asMigrateError, MigrateError } from '../../base/errors.ts';
import { cgroupPids } from '../../host/cgroup.ts';
import { dump, type ReadyDump } from '../freeze.ts';
import { reportFrozen, type SocketReport } from './report.ts';

/**
 * Lets CRIU dump the frozen job and reads its sockets meanwhile. Throws DUMP_FAILED that names the
 * sockets that came since the plan and cannot move, whether CRIU noticed them or not.
 */
export async function dumpWithSockets(
  ready: ReadyDump,
  planned: SocketReport,
): Promise<SocketReport> {
  const dumped = dump(ready);
  // Whoever waits for it below hears of a failure.
  dumped.catch(() => undefined);
  const pids = await Promise.all(ready.trees.map(({ cgroup }) => cgroupPids(cgroup)));
  const report = reportFrozen(ready.job, pids.flat(), planned);
  const [first, ...others] = report.impossible;
  const more = others.map(({ message }) => `; ${message}`).join('');
  try {
    await dumped;
  } catch (error) {
    if (first === undefined) throw error;
    const known = asMigrateError(error, 'DUMP_FAILED');
    const message = `${known.message}; ${first.message}${more}`;
    throw new MigrateError(known.code, message, { hint: first.hint ?? '', ...known.details });
  }
  if (first === undefined) return report;
  throw new MigrateError('DUMP_FAILED', `${first.message}${more}`, {
    side: 'source',
    ...(first.hint === undefined ? {} : { hint: first.hint }),
  });
}
