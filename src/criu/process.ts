import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MigrateError } from '../base/errors.ts';
import { readIfPresent } from '../host/files.ts';
import { type Spawned, spawnProgram } from '../host/spawn.ts';
import { hookGateBase64 } from './hook/gate.ts';
import { type HookMoment, hookScript } from './hook/script.ts';

/** A running criu whose hooks wait for us. */
export interface CriuProcess {
  /** Resolves when the hook of that moment runs; rejects with `failure()` when criu ends before. */
  reached(moment: HookMoment): Promise<void>;
  /** Answers the hook that waits. */
  answer(word: 'start' | 'go' | 'kill' | 'abort'): void;
  /** Exit status. */
  readonly ended: Promise<number>;
}

export interface CriuStart {
  /** A private directory for the hook script. */
  readonly directory: string;
  /** The job's cgroup, which the hook freezes or kills. */
  readonly cgroup: string;
  /** Start inside that cgroup, so that what is restored lies in it. */
  readonly inCgroup: boolean;
  readonly args: readonly string[];
  /** A file that criu inherits as descriptor 5. */
  readonly inherit?: string;
  /** How `migrate recover` is started if we die while the job is frozen. */
  readonly recover?: { readonly node: string; readonly program: string; readonly job: string };
  /** Reads the log and says why criu ended. */
  failure(status: number): Promise<MigrateError>;
}

/**
 * Makes criu ready to start on the word `start`, in a session of its own and with an OOM score that
 * makes the kernel look elsewhere: what ends us must not end it, since its hooks put the job back.
 */
export async function armCriu(start: CriuStart): Promise<CriuProcess> {
  const hook = join(start.directory, 'hook');
  await writeFile(`${hook}.sh`, hookScript, { mode: 0o600 });
  await writeFile(hook, Buffer.from(hookGateBase64, 'base64'), { mode: 0o700 });
  const child = spawnProgram(
    'sh',
    [
      '-c',
      enterScript,
      'criu-start',
      start.inCgroup ? join(start.cgroup, 'cgroup.procs') : '/dev/null',
      start.inherit ?? '/dev/null',
      'criu',
      ...start.args,
      '--action-script',
      hook,
    ],
    { stdio: 'stderr', channel: true, detached: true, env: hookEnvironment(start) },
  );
  child.stderr?.resume();
  return follow(child, start);
}

/**
 * Joins the cgroup, which costs an RCU grace period (kernel/cgroup/cgroup.c,
 * cgroup_threadgroup_rwsem: 10 to 20 ms), then waits for `start`. The OOM score needs
 * CAP_SYS_RESOURCE: it may fail.
 */
const enterScript = `echo 0 > "$1" || exit 1
read -r word <&3 && [ "$word" = start ] || exit 1
{ echo -1000 > /proc/self/oom_score_adj; } 2> /dev/null
exec 5< "$2"
shift 2
exec "$@"
`;

function hookEnvironment(start: CriuStart): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin',
    MIGRATE_CGROUP: start.cgroup,
    MIGRATE_NODE: start.recover?.node ?? '',
    MIGRATE_PROGRAM: start.recover?.program ?? '',
    MIGRATE_RECOVER: start.recover?.job ?? '',
  };
}

function follow(child: Spawned, start: CriuStart): CriuProcess {
  const reachedMoments = new Set<string>();
  const waiting = new Map<string, () => void>();
  let text = '';
  child.channel?.input.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) {
      reachedMoments.add(line);
      waiting.get(line)?.();
    }
  });
  child.channel?.output.on('error', () => undefined);
  void child.ended.then(() => {
    child.channel?.input.destroy();
    child.channel?.output.destroy();
  });
  return {
    ended: child.ended,
    reached(moment) {
      const come = new Promise<void>((resolve) => {
        if (reachedMoments.has(moment)) resolve();
        else waiting.set(moment, resolve);
      });
      const gone = child.ended.then(async (status) => {
        if (reachedMoments.has(moment)) return;
        throw await start.failure(status);
      });
      gone.catch(() => undefined);
      return Promise.race([come, gone]);
    },
    answer(word) {
      child.channel?.output.write(`${word}\n`);
    },
  };
}

/** Whether no criu and no hook of one works on that move any more, on either side of it. */
export async function criuIsGone(moveId: string): Promise<boolean> {
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const command = await readIfPresent(`/proc/${pid}/cmdline`);
    if (command?.includes(moveId) !== true) continue;
    if (command.startsWith('criu\0') || command.includes('/hook')) return false;
  }
  return true;
}
