import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MigrateError } from '../../base/errors.ts';
import { spawnProgram } from '../../host/spawn.ts';
import { pagerBase64 } from './program.ts';

/** The program that gives a restored job its memory; see pager.c. It outlives us if it must. */
export interface Pager {
  /** The state of the store has changed. */
  wake(): void;
  /** Nothing comes any more: a job that still lacks a page is killed. */
  abandon(): void;
  /** Resolves when every page is in its place. RESTORE_FAILED if that is not how it ended. */
  readonly done: Promise<void>;
  /** Ends it; the job that it serves must be dead. */
  kill(): void;
}

export interface PagerStart {
  /** CRIU's work directory, where it looks for the pager. */
  readonly work: string;
  /** The directory of the page store. */
  readonly memory: string;
  /** The job's cgroup: it is killed when its memory is lost. */
  readonly cgroup: string;
  /** The job waits for this slot. */
  onWanted(slot: number): void;
}

/** Resolves when CRIU may come. */
export async function startPager(start: PagerStart): Promise<Pager> {
  const program = join(start.work, 'pager');
  await writeFile(program, Buffer.from(pagerBase64, 'base64'), { mode: 0o700 });
  const child = spawnProgram(
    'sh',
    [
      ...['-c', enterScript, 'pager-start', join(dirname(start.cgroup), 'cgroup.procs')],
      ...[program, start.work, start.memory, join(start.cgroup, 'cgroup.kill')],
    ],
    { stdio: 'ignore', channel: true, detached: true },
  );
  const { channel } = child;
  channel?.output.on('error', () => undefined);
  const done = child.ended.then((status) => {
    if (status === 0) return;
    throw new MigrateError('RESTORE_FAILED', `the pager ended with status ${status}`, {
      side: 'target',
    });
  });
  done.catch(() => undefined);
  const ready = new Promise<void>((resolve) => {
    let rest: Buffer = Buffer.alloc(0);
    let isReady = false;
    channel?.input.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      if (!isReady) {
        rest = rest.subarray(1);
        isReady = true;
        resolve();
      }
      for (; rest.length >= 8; rest = rest.subarray(8)) {
        start.onWanted(Number(rest.readBigUInt64LE(0)));
      }
    });
  });
  await Promise.race([ready, done]);
  return {
    wake: () => void channel?.output.write('.'),
    abandon: () => void channel?.output.end(),
    done,
    kill: () => child.kill('SIGKILL'),
  };
}

/**
 * It belongs to the job and not to who started it: in a cgroup beside the job's, so that the end of
 * a login session does not end it, and the last to go when memory runs out, which needs
 * CAP_SYS_RESOURCE.
 */
const enterScript = `echo 0 > "$1" 2> /dev/null
{ echo -1000 > /proc/self/oom_score_adj; } 2> /dev/null
shift
exec "$@"
`;
