import { createHash } from 'node:crypto';
import { chmod, mkdir, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MigrateError } from '../base/errors.ts';
import { isoNow, poll } from '../host/clock.ts';
import { makePrivateDirectory, readIfPresent } from '../host/files.ts';
import { childrenOf, executableOf, readProcess } from '../host/proc.ts';
import { type Spawned, spawnProgram } from '../host/spawn.ts';
import { jobInitBase64 } from './init/program.ts';
import { launchScript, rootfsScript } from './launch-script.ts';
import { logPathOf, paths } from './paths.ts';
import { privilegesOf } from './privileges.ts';
import type { JobSpec, StoredJob } from './record.ts';

/** A program that cannot start says so at once; one that takes longer lies on slow storage. */
const startTimeoutMs = 10_000;
const pollStepMs = 5;

export interface LaunchPlace {
  readonly cgroup: string;
  readonly hostname: string;
  readonly cwd: string;
  /** l2: the path of the network namespace to start in. */
  readonly netns?: string;
}

/**
 * Starts the job's program in PID, mount, IPC and UTS namespaces of its own, in `place.cgroup`.
 * Resolves once the program itself runs; JOB_START_FAILED with its last words when it does not.
 */
export async function launchJob(
  spec: JobSpec,
  place: LaunchPlace,
): Promise<Pick<StoredJob, 'initPid' | 'initStartTime' | 'createdAt' | 'logPath'>> {
  const logPath = logPathOf(spec.name, spec.rootfs);
  await makePrivateDirectory(dirname(logPath));
  await writeFile(logPath, '', { flag: 'a', mode: 0o600 });
  const log: LogPart = { path: logPath, from: (await stat(logPath)).size };
  const init = await installJobInit(spec.rootfs ?? '');
  const [program = '', ...args] = launchArguments(spec, place, init, logPath);
  const launcher = spawnProgram(program, args, {
    stdio: 'stderr',
    detached: true,
    env: jobEnvironment(spec),
  });
  const words = collect(launcher);
  const initPid = await started(launcher, init, log, words);
  launcher.unref();
  const first = await readProcess(initPid);
  if (first === undefined) throw await startFailure(log, words());
  return { initPid, initStartTime: first.startTime, createdAt: isoNow(), logPath };
}

/** Puts job-init where every host has it: its mapping is compared by path and size at a restore. */
export async function installJobInit(root: string): Promise<string> {
  const directory = join(root, paths.lib);
  const program = Buffer.from(jobInitBase64, 'base64');
  const digest = createHash('sha256').update(program).digest('hex');
  const inside = join(paths.lib, `job-init-${digest.slice(0, 16)}`);
  const path = join(root, inside);
  // Where a job with a root file system of its own has these mounted.
  if (root !== '') for (const name of ['proc', 'dev', 'sys']) await makeMountPoint(root, name);
  if ((await readIfPresent(path)) !== undefined) return inside;
  await makePrivateDirectory(join(root, paths.run));
  // Jobs of ordinary users execute the file, so its directories let them pass.
  await mkdir(directory, { recursive: true, mode: 0o755 });
  await chmod(join(root, paths.run), 0o711);
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, program, { mode: 0o755 });
  await rename(temporary, path);
  return inside;
}

async function makeMountPoint(root: string, name: string): Promise<void> {
  await mkdir(join(root, name), { recursive: true, mode: 0o755 });
}

function launchArguments(
  spec: JobSpec,
  place: LaunchPlace,
  init: string,
  logPath: string,
): string[] {
  const { rootfs } = spec;
  return [
    ...(place.netns === undefined ? [] : ['nsenter', `--net=${place.netns}`]),
    ...['unshare', '--mount', '--pid', '--ipc', '--uts', '--fork', '--propagation', 'private'],
    ...['--', 'sh', '-c', launchScript, 'migrate-launch'],
    ...[join(place.cgroup, 'cgroup.procs'), logPath, place.hostname],
    ...[rootfs === undefined ? place.cwd : '/'],
    ...(rootfs === undefined
      ? []
      : ['sh', '-c', rootfsScript, 'migrate-rootfs', rootfs, logPathOf(spec.name)]),
    ...[init, ...startersOf(spec), ...spec.command],
  ];
}

/** What stands between job-init and the program: it finds it on the PATH, or changes its rights. */
function startersOf(spec: JobSpec): string[] {
  const privileges = privilegesOf(spec);
  if (privileges.length > 0) return privileges;
  // A small root file system need not have env(1).
  return spec.command[0]?.startsWith('/') === true ? [] : ['/usr/bin/env', '--'];
}

/** What a login would set, and nothing of the administrator's own environment. */
function jobEnvironment(spec: JobSpec): Record<string, string> {
  const { PATH, LANG, TZ } = process.env;
  return {
    PATH: PATH ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ...(LANG === undefined ? {} : { LANG }),
    ...(TZ === undefined ? {} : { TZ }),
    USER: spec.user ?? 'root',
    HOME: spec.user === undefined ? '/root' : `/home/${spec.user}`,
    MIGRATE_JOB: spec.name,
  };
}

/** The pid of job-init once its child has become the program; throws when either ended first. */
async function started(
  launcher: Spawned,
  init: string,
  log: LogPart,
  words: () => string,
): Promise<number> {
  let initPid: number | undefined;
  let over = false;
  void launcher.ended.then(() => {
    over = true;
  });
  await poll(
    async () => {
      if (over) return true;
      [initPid] = await childrenOf(launcher.pid ?? 0);
      if (initPid === undefined || (await executableOf(initPid))?.endsWith(init) !== true) {
        return false;
      }
      const [first] = await childrenOf(initPid);
      const program = first === undefined ? undefined : await executableOf(first);
      return program !== undefined && !starters(init).some((name) => program.endsWith(name));
    },
    startTimeoutMs,
    pollStepMs,
  );
  // A program that is itself called env, or slow storage, is no failure while job-init lives.
  if (over || initPid === undefined) {
    launcher.kill('SIGKILL');
    throw await startFailure(log, words());
  }
  return initPid;
}

/** Programs that stand before the job's own in the chain of execs. */
function starters(init: string): string[] {
  return [init, '/env', '/setpriv'];
}

/** What this launch has added to a log that an earlier job of the name may have begun. */
interface LogPart {
  readonly path: string;
  /** Bytes. */
  readonly from: number;
}

async function startFailure({ path, from }: LogPart, words: string): Promise<MigrateError> {
  const log = Buffer.from((await readIfPresent(path)) ?? '').subarray(from);
  const line = (words.trim() || log.toString().trim()).split('\n').at(-1) ?? '';
  return new MigrateError('JOB_START_FAILED', `the program did not start: ${line || 'it ended'}`, {
    side: 'local',
    logs: [path],
  });
}

function collect(launcher: Spawned): () => string {
  let text = '';
  launcher.stderr?.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-2_000);
  });
  return () => text;
}
