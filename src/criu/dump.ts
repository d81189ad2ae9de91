import { join } from 'node:path';
import { criuError } from './log.ts';
import { armCriu, type CriuProcess, type CriuStart } from './process.ts';

export interface DumpOptions {
  /** The first process of the tree, as the namespace that criu works in numbers it. */
  readonly pid: number;
  /** The same process as this host numbers it, if criu is to work in its namespaces. */
  readonly enter?: number;
  readonly images: string;
  readonly work: string;
  readonly cgroup: string;
  /** Where CRIU's log stays when it fails. */
  readonly keepLogAs: string;
  /** l2: the inode of its network namespace, which is rebuilt by us, not by CRIU. */
  readonly netnsInode?: number;
  /** Seconds CRIU may take to collect the tasks (criu(8), --timeout). */
  readonly timeoutSeconds: number;
  readonly recover?: NonNullable<CriuStart['recover']>;
  /**
   * Leaves the pages out that a lazy restore brings later, and lists them alone. CRIU would offer
   * them on its page server once the job has been dumped (criu/cr-dump.c, cr_lazy_mem_dump); it is
   * given a socket that has ended, because we read them ourselves.
   */
  readonly lazy?: boolean;
}

/** The key under which the image names the network namespace that we make on the target. */
export const netnsKey = 'job-netns';

/** Starts a dump that waits in its pre-dump hook: everything up to there costs no frozen time. */
export async function startDump(options: DumpOptions): Promise<CriuProcess> {
  const log = join(options.work, 'dump.log');
  const criu = await armCriu({
    directory: options.work,
    cgroup: options.cgroup,
    inCgroup: false,
    images: options.images,
    ...(options.enter === undefined ? {} : { enter: { pid: options.enter } }),
    args: dumpArguments(options),
    ...(options.recover === undefined ? {} : { recover: options.recover }),
    ...(options.lazy === true ? { closedSocketOn: pageServerSocket } : {}),
    failure: (status) => criuError('DUMP_FAILED', log, status, options.keepLogAs),
  });
  criu.answer('start');
  return criu;
}

function dumpArguments(options: DumpOptions): string[] {
  return [
    'dump',
    '--no-default-config',
    ...['--tree', String(options.pid)],
    ...['--images-dir', imagesFor(options)],
    ...['--work-dir', options.work],
    ...['--log-file', 'dump.log', '-v2'],
    ...['--timeout', String(options.timeoutSeconds)],
    ...['--freeze-cgroup', options.enter === undefined ? options.cgroup : '/proc/self/fd/6'],
    ...(options.enter === undefined ? [] : treeArguments),
    ...commonArguments,
    ...(options.netnsInode === undefined
      ? []
      : ['--external', `net[${options.netnsInode}]:${netnsKey}`]),
    ...(options.lazy === true ? ['--lazy-pages', '--ps-socket', String(pageServerSocket)] : []),
    '--skip-in-flight',
    '--link-remap',
    ...['--ghost-limit', '64M'],
  ];
}

const pageServerSocket = 9;

/** The images as criu finds them: other namespaces than ours may not show the path. */
export function imagesFor(options: { images: string; enter?: unknown }): string {
  return options.enter === undefined ? options.images : '/proc/self/fd/7';
}

/** A tree of a namespace that need not lead a session of its own. */
export const treeArguments = ['--shell-job'];

/**
 * What dump and restore must agree on. The lock is ours, one for all connections; the cgroup is
 * ours; every mount that the job shares with its host is bound again from the target's.
 */
export const commonArguments = [
  '--tcp-established',
  ...['--network-lock', 'skip'],
  '--manage-cgroups=ignore',
  ...['--external', 'mnt[]:ms'],
  '--file-locks',
];
