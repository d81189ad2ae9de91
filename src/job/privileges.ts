import type { JobSpec } from './record.ts';

/**
 * The program that stands before a job's own and gives it the rights that it has: its user's, and
 * of an l3 job no raw sockets unless they were granted, because those see and send what belongs to
 * the host and to other jobs. The capability is taken out of the bounding set, so that nothing in
 * the job gets it back (capabilities(7)); with it away socket(2) fails with EPERM for SOCK_RAW and
 * for AF_PACKET. CRIU keeps all five sets, so this moves with the job. Empty when nothing is to do.
 */
export function privilegesOf(job: Pick<JobSpec, 'kind' | 'user' | 'allow'>): string[] {
  const raw = job.kind === 'l2' || job.allow?.includes('raw') === true;
  const own = job.user === undefined ? [] : userOf(job.user, raw && job.kind === 'l3');
  const taken = raw ? [] : ['--bounding-set=-net_raw'];
  if (own.length + taken.length === 0) return [];
  const inherited = own.length === 0 ? ['--inh-caps=-net_raw'] : [];
  return ['/usr/bin/setpriv', ...own, ...inherited, ...taken, '--'];
}

/** A user has no capability; one that is granted stays through the exec as an ambient one. */
function userOf(user: string, raw: boolean): string[] {
  const granted = ['--inh-caps=-all,+net_raw', '--ambient-caps=-all,+net_raw'];
  return [
    ...[`--reuid=${user}`, `--regid=${user}`, '--init-groups'],
    ...(raw ? granted : ['--inh-caps=-all']),
  ];
}
