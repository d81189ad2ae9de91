import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MigrateError } from '../base/errors.ts';
import { poll } from '../host/clock.ts';
import { childrenOf, executableOf, readProcess } from '../host/proc.ts';
import { run } from '../host/run.ts';
import { spawnProgram } from '../host/spawn.ts';
import { installJobInit } from './launch.ts';
import { quietPid } from './quiet-pid.ts';

const startTimeoutMs = 10_000;
const pollStepMs = 5;

/**
 * Where process trees are restored that lived in one PID namespace: a new one, whose first process
 * is job-init, with the mounts that `ip netns exec` makes.
 */
export interface TreePlace {
  /** Its first process, as this host numbers it, and the clock ticks at which that began. */
  readonly initPid: number;
  readonly initStartTime: number;
  /** The FIFO that keeps it alive while anybody who restores into it has it open for writing. */
  readonly keeper: string;
  /** We need it no longer: it lives as long as the trees in it do. Harmless when repeated. */
  release(): void;
}

export interface TreePlaceWish {
  readonly cgroup: string;
  /** The path of the network namespace, and the directory with its own files for /etc. */
  readonly netns: string;
  readonly etc: string;
  /** A directory of ours for the FIFO, and what sets this place apart in it. */
  readonly work: string;
  readonly group: number;
  /** Process ids that the trees bring along. */
  readonly pids: readonly number[];
}

/** Makes one, in its cgroup: whoever kills that takes it down. RESTORE_FAILED if it fails. */
export async function makeTreePlace(wish: TreePlaceWish): Promise<TreePlace> {
  const keeper = join(wish.work, `keeper-${wish.group}`);
  const init = await installJobInit('');
  const pidMax = Number(await readFile('/proc/sys/kernel/pid_max', 'utf8'));
  await run('mkfifo', ['--mode=600', keeper]);
  // Open for both: opening for one of them alone would wait for the other end.
  const held = openSync(keeper, 'r+');
  const words = [join(wish.cgroup, 'cgroup.procs'), String(quietPid(wish.pids, pidMax)), wish.etc];
  const launcher = spawnProgram(
    'nsenter',
    [
      `--net=${wish.netns}`,
      ...['unshare', '--mount', '--pid', '--fork', '--propagation', 'private'],
      ...['--', 'sh', '-c', placeScript, 'migrate-place', ...words],
      ...[init, '/bin/sh', '-c', 'read -r _ < "$0"', keeper],
    ],
    { stdio: 'ignore', detached: true },
  );
  let initPid: number | undefined;
  await poll(
    async () => {
      [initPid] = await childrenOf(launcher.pid ?? 0);
      if (initPid === undefined || (await executableOf(initPid)) !== init) return false;
      return (await childrenOf(initPid)).length > 0;
    },
    startTimeoutMs,
    pollStepMs,
  );
  const first = initPid === undefined ? undefined : await readProcess(initPid);
  // Its parent is of no use any more, and would be a process in the namespace beside the trees.
  launcher.kill('SIGKILL');
  if (first === undefined) {
    closeSync(held);
    throw new MigrateError('RESTORE_FAILED', 'no PID namespace could be made for the processes');
  }
  let isReleased = false;
  return {
    initPid: first.pid,
    initStartTime: first.startTime,
    keeper,
    release() {
      if (!isReleased) closeSync(held);
      isReleased = true;
    },
  };
}

/**
 * Becomes job-init, whose one child waits for the end of the FIFO. What is mounted below /run is of
 * this host and this moment, as in launch-script.ts; /sys shows the devices of the network
 * namespace that it is mounted in, and /etc/netns/NAME is laid over /etc, as ip-netns(8) has it.
 * $1 cgroup.procs file, $2 the last process id that counts as given, $3 /etc/netns/NAME,
 * rest: job-init and its arguments.
 */
const placeScript = `set -eu
procs=$1 last=$2 etc=$3
shift 3
echo 0 > "$procs"
while read -r _ path _; do
  case "$path" in /run/*) umount -l "$path" || true ;; esac
done < /proc/self/mounts
umount -l /proc
mount -t proc -o nosuid,nodev,noexec proc /proc
umount -l /sys
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
for file in "$etc"/*; do
  [ ! -e "$file" ] || [ ! -e "/etc/\${file##*/}" ] || mount --bind "$file" "/etc/\${file##*/}"
done
cd /
echo "$last" > /proc/sys/kernel/ns_last_pid
exec < /dev/null > /dev/null 2>&1
exec "$@"
`;
