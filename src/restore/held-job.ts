import { readFile } from 'node:fs/promises';
import { MigrateError } from '../base/errors.ts';
import type { CriuProcess } from '../criu/process.ts';
import { armRestore, pidfileOf } from '../criu/restore.ts';
import { killCgroup } from '../host/cgroup.ts';
import { readProcess } from '../host/proc.ts';
import { failureLogOf } from '../job/paths.ts';
import type { Established } from './established.ts';

/** A job that is restored, complete and stopped: it has not run an instruction here. */
export interface HeldJob {
  readonly initPid: number;
  readonly initStartTime: number;
  /** Lets it run; resolves when the last task does. Afterwards there is no way back. */
  resume(): Promise<void>;
}

export interface HoldWish {
  /** The job's name, which names its log. */
  readonly name: string;
  readonly images: string;
  readonly work: string;
  readonly established: Established;
  readonly rootfs?: string;
}

/** A restore whose program has started already; the images may still be on their way. */
export interface ArmedRestore {
  /** Restores the job and holds it in CRIU's pre-resume hook. RESTORE_CRIU_FAILED if it cannot. */
  begin(): Promise<HeldJob>;
  /** Ends it, whatever it has come to. */
  discard(): Promise<void>;
}

export async function armHeldRestore(wish: HoldWish): Promise<ArmedRestore> {
  const { established, work } = wish;
  const criu = await armRestore({
    images: wish.images,
    work,
    cgroup: established.cgroup,
    keepLogAs: failureLogOf(wish.name, 'restore'),
    root: wish.rootfs ?? '/',
    ...(established.netns === undefined ? {} : { netns: established.netns }),
  });
  return {
    async begin() {
      try {
        criu.answer('start');
        await criu.reached('pre-resume');
        return await hold(criu, wish);
      } catch (error) {
        await discard(criu, established.cgroup);
        throw error;
      }
    },
    discard: () => discard(criu, established.cgroup),
  };
}

async function hold(criu: CriuProcess, { work }: HoldWish): Promise<HeldJob> {
  const initPid = Number(await readFile(pidfileOf(work), 'utf8'));
  const stat = await readProcess(initPid);
  if (stat === undefined) throw new MigrateError('RESTORE_FAILED', 'the restored job is not there');
  return {
    initPid,
    initStartTime: stat.startTime,
    async resume() {
      criu.answer('go');
      await criu.reached('post-resume');
    },
  };
}

/** The hook's own answer would do the same, but not if the hook is gone. */
async function discard(criu: CriuProcess, cgroup: string): Promise<void> {
  criu.answer('abort');
  await killCgroup(cgroup);
  await criu.ended;
}
