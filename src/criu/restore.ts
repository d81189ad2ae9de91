import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readIfPresent } from '../host/files.ts';
import { commonArguments, imagesFor, netnsKey, treeArguments } from './dump.ts';
import { goMark, neverRanMark } from './hook/script.ts';
import { criuError } from './log.ts';
import { armCriu, type CriuProcess, type Entrance } from './process.ts';

export interface RestoreOptions {
  readonly images: string;
  readonly work: string;
  readonly cgroup: string;
  /** Where CRIU's log stays when it fails. */
  readonly keepLogAs: string;
  /** The root of the job's mount namespace, `/` for the host's own. */
  readonly root: string;
  /** l2: the path of the network namespace that was made for it. */
  readonly netns?: string;
  /** One tree of several: the namespaces to restore it into, and where all their marks are. */
  readonly enter?: Entrance;
  readonly marks?: string;
  /** Pages that the images only list come from the pager, which listens in `work`. */
  readonly lazy?: boolean;
}

/** Where criu writes the pid of the restored first process. */
export function pidfileOf(work: string): string {
  return join(work, 'restored.pid');
}

/** Whether CRIU's hook killed what it had restored, because nobody was there to let it run. */
export async function restoreNeverRan(work: string): Promise<boolean> {
  return (await readIfPresent(join(work, neverRanMark))) !== undefined;
}

/** From here on every hook lets its tree run, whatever becomes of us. */
export function markGo(marks: string): void {
  writeFileSync(join(marks, goMark), '', { mode: 0o600 });
}

/** A restore that begins on `start` and holds the job, stopped, in its pre-resume hook. */
export function armRestore(options: RestoreOptions): Promise<CriuProcess> {
  const log = join(options.work, 'restore.log');
  return armCriu({
    directory: options.work,
    cgroup: options.cgroup,
    inCgroup: true,
    images: options.images,
    ...(options.enter === undefined ? {} : { enter: options.enter }),
    ...(options.marks === undefined ? {} : { marks: options.marks }),
    args: restoreArguments(options),
    ...(options.netns === undefined ? {} : { inherit: options.netns }),
    failure: (status) => criuError('RESTORE_CRIU_FAILED', log, status, options.keepLogAs),
  });
}

function restoreArguments(options: RestoreOptions): string[] {
  return [
    'restore',
    '--no-default-config',
    ...['--images-dir', imagesFor(options)],
    ...['--work-dir', options.work],
    ...['--log-file', 'restore.log', '-v2'],
    ...['--root', options.root],
    ...commonArguments,
    ...(options.enter === undefined ? [] : treeArguments),
    '--restore-detached',
    // An image's pages go as the job's come: less memory in use, and no wait for fresh pages.
    '--auto-dedup',
    ...(options.lazy === true ? ['--lazy-pages'] : []),
    ...['--pidfile', pidfileOf(options.work)],
    // Descriptor 5 is opened on the namespace by the shell that starts criu.
    ...(options.netns === undefined ? [] : ['--inherit-fd', `fd[5]:${netnsKey}`]),
  ];
}
