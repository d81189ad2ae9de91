/** Where we keep things on a host. What is under /run is gone after a reboot, as the jobs are. */
export const paths = {
  run: '/run/migrate',
  jobs: '/run/migrate/jobs',
  lib: '/run/migrate/lib',
  moves: '/run/migrate/moves',
  locks: '/run/migrate/locks',
  logs: '/var/log/migrate',
  journal: '/var/lib/migrate/journal',
} as const;

/** The cgroup that all jobs of a host lie in, below the root of cgroup v2. */
export const cgroupParentName = 'migrate';

/**
 * The log of a job has the same path on every host, because the job holds it open; with a root
 * file system of its own it lies in that.
 */
export function logPathOf(name: string, rootfs?: string): string {
  return `${rootfs ?? ''}${paths.logs}/${name}.log`;
}

export function recordPathOf(name: string): string {
  return `${paths.jobs}/${name}.json`;
}

/** Where CRIU's log of a failed dump or restore stays, until the next one of that job. */
export function failureLogOf(name: string, what: 'dump' | 'restore'): string {
  return `${paths.logs}/${name}.${what}.log`;
}

/** The job of a named network namespace is called `netns:NAME`. */
const netnsPrefix = 'netns:';

/** Files that `ip netns exec NAME` lays over those of /etc (ip-netns(8)). */
export function netnsEtcOf(name: string): string {
  return `/etc/netns/${netnsNameOf(name)}`;
}

/** A named network namespace as ip-netns(8) keeps it. */
export function netnsNameOf(name: string): string {
  return name.startsWith(netnsPrefix) ? name.slice(netnsPrefix.length) : `migrate-${name}`;
}
