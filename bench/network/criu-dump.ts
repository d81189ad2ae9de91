import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { type MadeObjects, runBatch } from './objects.ts';

/**
 * What CRIU's own dump and restore of a namespace cost: those of a sleeping process in it, less
 * those of one whose namespace is left to somebody else (criu(8), --external net).
 */
export async function measureCriu(
  made: MadeObjects,
): Promise<{ captureMs: number; applyMs: number } | { cannot: string }> {
  try {
    const whole = await measureProcess(made, true);
    const bare = await measureProcess(made, false);
    return {
      captureMs: Math.max(0, whole.dumpMs - bare.dumpMs),
      applyMs: Math.max(0, whole.restoreMs - bare.restoreMs),
    };
  } catch (error) {
    return { cannot: error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'failed' };
  }
}

const common = ['--tcp-established', '--network-lock', 'skip', '--manage-cgroups=ignore', '-v1'];
const mounts = ['--external', 'mnt[]:ms'];
const key = 'bench';

async function measureProcess(made: MadeObjects, withNetwork: boolean) {
  const directory = await mkdtemp('/run/bench-criu-');
  const twin = `${made.name}-criu`;
  try {
    const pid = await startProcess(twin, made);
    const inode = (await execa('stat', ['-Lc', '%i', `/proc/${pid}/ns/net`])).stdout;
    const external = withNetwork ? [] : ['--external', `net[${inode}]:${key}`];
    const images = ['--images-dir', directory, ...common, ...mounts];
    const began = performance.now();
    await execa('criu', ['dump', '--tree', String(pid), ...images, ...external]);
    const dumped = performance.now();
    const pidfile = join(directory, 'restored.pid');
    const args = ['restore', '--root', '/', '--restore-detached', '--pidfile', pidfile, ...images];
    const inherit = withNetwork ? [] : ['--inherit-fd', `fd[5]:${key}`];
    const script = 'exec 5< "$1"; shift; exec "$@"';
    const from = withNetwork ? '/dev/null' : made.path;
    const restoring = performance.now();
    await execa('sh', ['-c', script, 'sh', from, 'criu', ...args, ...inherit]);
    const restored = performance.now();
    await execa('sh', ['-c', 'kill -9 "$(cat "$1")"', 'sh', pidfile]);
    return { dumpMs: dumped - began, restoreMs: restored - restoring };
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** A process in a namespace of its own, with the same objects, as CRIU wants to find it. */
async function startProcess(name: string, made: MadeObjects): Promise<number> {
  const script = 'setsid sleep 1000 < /dev/null > /dev/null 2>&1 & echo $!';
  const words = ['--net', '--mount', '--propagation', 'private', 'sh', '-c', script];
  const { stdout } = await execa('unshare', words);
  const pid = Number(stdout);
  await execa('mkdir', ['-p', '/run/netns']);
  await execa('ip', ['netns', 'attach', name, String(pid)]);
  try {
    await runBatch(name, made.commands);
  } finally {
    await execa('ip', ['netns', 'del', name]);
  }
  return pid;
}
