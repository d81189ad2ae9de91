import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MigrateError } from '../base/errors.ts';
import { sleepMs } from '../host/clock.ts';
import { readIfPresent } from '../host/files.ts';
import { type Spawned, spawnProgram } from '../host/spawn.ts';
import { hookGateBase64 } from './hook/gate.ts';
import { type HookMoment, hookScript, orphanedMark } from './hook/script.ts';

/** A pipe whose writers have ended is read to its end at once, unless somebody keeps it open. */
const lastWordsMs = 1_000;

/** A running criu whose hooks wait for us. */
export interface CriuProcess {
  /** Resolves when the hook of that moment runs; rejects with `failure()` when criu ends before. */
  reached(moment: HookMoment): Promise<void>;
  /** Answers the hook that waits. */
  answer(word: 'start' | 'go' | 'kill' | 'abort'): void;
  /** Exit status. */
  readonly ended: Promise<number>;
}

export interface Entrance {
  readonly pid: number;
  /** A FIFO that criu, and whoever waits for its end, hold open for writing: descriptor 8. */
  readonly keeper?: string;
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
  /** The images directory, for those that cannot reach it by its path: descriptor 7. */
  readonly images: string;
  /** A process whose mount and PID namespaces criu works in; our own unless given. */
  readonly enter?: Entrance;
  /** Where the hooks leave their marks for whoever asks later; `directory` unless given. */
  readonly marks?: string;
  /** How `migrate recover` is started if we die while the job is frozen. */
  readonly recover?: { readonly node: string; readonly program: string; readonly job: string };
  /** Criu's --ps-socket leads to nobody: see `DumpOptions.lazy`. */
  readonly closedSocketOn?: number;
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
    'setpriv',
    [
      // CRIU leaves a task that had no groups with its own (cr-restore.c, n_groups).
      ...['--clear-groups', '--', 'sh'],
      '-c',
      enterScript,
      'criu-start',
      start.inCgroup ? join(start.cgroup, 'cgroup.procs') : '/dev/null',
      ...[start.inherit ?? '/dev/null', start.cgroup, start.images],
      start.enter?.keeper ?? '/dev/null',
      start.enter === undefined ? '' : marksOf(start),
      ...entering(start.enter),
      ...['criu', ...start.args, '--action-script', hook],
    ],
    {
      ...{ stdio: 'stderr', channel: true, detached: true, env: hookEnvironment(start) },
      ...(start.closedSocketOn === undefined ? {} : { closedSocketOn: start.closedSocketOn }),
    },
  );
  child.stderr?.resume();
  return follow(child, start);
}

/**
 * A session of its own in there, so that a restored tree that is no session leader gets one whose
 * number its PID namespace knows: CRIU gives it its own (criu/pstree.c,
 * prepare_pstree_for_shell_job).
 */
function entering(enter: Entrance | undefined): string[] {
  if (enter === undefined) return [];
  return ['nsenter', '--target', String(enter.pid), '--mount', '--pid', '--', 'setsid'];
}

function marksOf({ marks, directory }: CriuStart): string {
  return marks ?? directory;
}

/**
 * Joins the cgroup, which costs an RCU grace period (kernel/cgroup/cgroup.c,
 * cgroup_threadgroup_rwsem: 10 to 20 ms), then waits for `start`. The OOM score needs
 * CAP_SYS_RESOURCE: it may fail. A criu in other namespaces cannot start `migrate recover`, which
 * belongs into ours: its hook leaves a mark, and the shell that waits for it here heeds it.
 */
const enterScript = `echo 0 > "$1" || exit 1
read -r word <&3 && [ "$word" = start ] || exit 1
{ echo -1000 > /proc/self/oom_score_adj; } 2> /dev/null
exec 5< "$2" 6< "$3" 7< "$4" 8> "$5"
marks=$6
shift 6
[ -n "$marks" ] || exec "$@"
"$@"
status=$?
[ ! -e "$marks/${orphanedMark}" ] || [ -z "$MIGRATE_RECOVER" ] ||
  setsid "$MIGRATE_NODE" "$MIGRATE_PROGRAM" recover "$MIGRATE_RECOVER" \\
    < /dev/null > /dev/null 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- &
exit $status
`;

function hookEnvironment(start: CriuStart): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin',
    MIGRATE_MARKS: marksOf(start),
    MIGRATE_ENTERED: start.enter === undefined ? '' : 'yes',
    MIGRATE_NODE: start.recover?.node ?? '',
    MIGRATE_PROGRAM: start.recover?.program ?? '',
    MIGRATE_RECOVER: start.recover?.job ?? '',
  };
}

function follow(child: Spawned, start: CriuStart): CriuProcess {
  const closed = new Promise<void>((resolve) => {
    child.channel?.input.once('close', () => resolve());
  });
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
  // What its hooks said last may still be on its way when it has ended.
  const heard = child.ended.then(async (status) => {
    await Promise.race([closed, sleepMs(lastWordsMs)]);
    child.channel?.input.destroy();
    child.channel?.output.destroy();
    return status;
  });
  return {
    ended: child.ended,
    reached(moment) {
      const come = new Promise<void>((resolve) => {
        if (reachedMoments.has(moment)) resolve();
        else waiting.set(moment, resolve);
      });
      const gone = heard.then(async (status) => {
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
    if (!command.startsWith('criu\0') && !command.includes('/hook')) continue;
    // Anybody can call a program so.
    const owner = await stat(`/proc/${pid}`).catch(() => undefined);
    if (owner?.uid === 0) return false;
  }
  return true;
}
