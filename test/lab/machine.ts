import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { labProgram } from './lab-program.ts';

/** Runs the lab's command line as a person would, against one lab. */
export function labCommand(name: string) {
  return async (...args: string[]): Promise<Answer> => {
    const argv = [await labProgram(), ...args];
    const env = { LAB: name };
    const result = await execa('node', argv, { env, cwd: CHECKOUT, reject: false });
    return { code: result.exitCode ?? -1, out: result.stdout, err: result.stderr };
  };
}

/** What of a lab there is on the machine, wherever the kernel keeps such things. */
export async function tracesOf(name: string, namespaces: ReadonlySet<string>): Promise<string[]> {
  const traces: string[] = [];
  for (const directory of [`/run/migrate-lab/${name}`, `/var/lib/migrate-lab/${name}`]) {
    const there = await stat(directory).catch(() => undefined);
    if (there !== undefined) traces.push(`directory ${directory}`);
  }
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  for (const line of mounts.split('\n')) {
    if (line.includes(`migrate-lab/${name}/`)) traces.push(`mount ${line}`);
  }
  for (const pid of await pids()) {
    const cgroups = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '');
    if (cgroups.includes(`/migrate-lab/${name}/`)) traces.push(`process ${pid} in its cgroup`);
    const netns = await netnsOf(pid);
    if (netns !== undefined && namespaces.has(netns)) traces.push(`process ${pid} in its netns`);
  }
  for (const path of await cgroupsNamed(name)) traces.push(`cgroup ${path}`);
  return traces;
}

/** The network namespaces that processes in the lab's cgroups live in. */
export async function namespacesOf(name: string): Promise<Set<string>> {
  const found = new Set<string>();
  for (const pid of await pids()) {
    const cgroups = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '');
    const netns = await netnsOf(pid);
    if (netns && cgroups.includes(`/migrate-lab/${name}/`)) found.add(netns);
  }
  return found;
}

/** The links of the machine itself, which no lab may add to. */
export async function machineLinks(): Promise<string[]> {
  const { stdout } = await execa('ip', ['-json', 'link', 'show']);
  return (JSON.parse(stdout) as { ifname: string }[]).map((link) => link.ifname).sort();
}

export interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const CHECKOUT = join(import.meta.dirname, '../..');

async function pids(): Promise<string[]> {
  return (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry));
}

async function netnsOf(pid: string): Promise<string | undefined> {
  return readlink(`/proc/${pid}/ns/net`).catch(() => undefined);
}

async function cgroupsNamed(name: string): Promise<string[]> {
  const mounts = await readFile('/proc/mounts', 'utf8');
  const root = mounts.split('\n').find((line) => line.split(' ')[2] === 'cgroup2');
  const path = join(root?.split(' ')[1] ?? '/sys/fs/cgroup', 'migrate-lab', name);
  const there = await stat(path).catch(() => undefined);
  return there === undefined ? [] : [path];
}
