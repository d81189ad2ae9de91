import { readdir, readlink, stat } from 'node:fs/promises';
import { readIfPresent } from './files.ts';

/** What /proc/PID/stat says of one process (proc_pid_stat(5)). */
export interface ProcessStat {
  readonly pid: number;
  readonly name: string;
  readonly state: string;
  readonly ppid: number;
  /** The device number of its controlling terminal, 0 without one. */
  readonly terminal: number;
  /** Clock ticks since boot; with the pid it names one process for ever. */
  readonly startTime: number;
}

/** One process, or undefined when it is gone; a zombie counts as gone. */
export async function readProcess(pid: number): Promise<ProcessStat | undefined> {
  const text = await readIfPresent(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  const close = text.lastIndexOf(')');
  const fields = text.slice(close + 2).split(' ');
  const state = fields[0] ?? '?';
  if (state === 'Z' || state === 'X') return undefined;
  return {
    pid,
    name: text.slice(text.indexOf('(') + 1, close),
    state,
    ppid: Number(fields[1]),
    terminal: Number(fields[4]),
    startTime: Number(fields[19]),
  };
}

/** The children of every thread of a process. */
export async function childrenOf(pid: number): Promise<number[]> {
  const children = await readIfPresent(`/proc/${pid}/task/${pid}/children`);
  return (children ?? '').trim().split(' ').filter(Boolean).map(Number);
}

export interface ProcessSummary {
  readonly pid: number;
  readonly name: string;
  readonly uid: number;
  readonly capsEffective: string;
  /** Resident memory, bytes. */
  readonly residentBytes: number;
}

/** The few lines of /proc/PID/status that a bundle's manifest tells. */
export async function summarizeProcess(pid: number): Promise<ProcessSummary | undefined> {
  const status = await readIfPresent(`/proc/${pid}/status`);
  if (status === undefined) return undefined;
  const field = (name: string): string =>
    new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)?.[1] ?? '';
  return {
    pid,
    name: field('Name'),
    uid: Number(field('Uid').split('\t')[0]),
    capsEffective: field('CapEff'),
    residentBytes: Number(field('VmRSS').split(' ')[0] || 0) * 1024,
  };
}

export async function executableOf(pid: number): Promise<string | undefined> {
  return readlink(`/proc/${pid}/exe`).catch(() => undefined);
}

/** The pids of all processes that this host's /proc shows. */
export async function allPids(): Promise<number[]> {
  const names = await readdir('/proc');
  return names.filter((name) => /^\d+$/.test(name)).map(Number);
}

/** The kinds of namespace, as /proc/PID/ns names them (namespaces(7)). */
export type NamespaceKind = 'cgroup' | 'ipc' | 'mnt' | 'net' | 'pid' | 'time' | 'user' | 'uts';

/** `net:[4026531840]`: names one namespace of this boot. undefined for a process that is gone. */
export async function namespaceOf(
  pid: number | 'self',
  kind: NamespaceKind,
): Promise<string | undefined> {
  return readlink(`/proc/${pid}/ns/${kind}`).catch(() => undefined);
}

/** Those of each thread of a process, the first thread's first; empty for one that is gone. */
export async function threadsIn(pid: number, kind: NamespaceKind): Promise<string[]> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const found = await Promise.all(
    threads.map((id) => readlink(`/proc/${pid}/task/${id}/ns/${kind}`).catch(() => undefined)),
  );
  const [first, ...others] = [await namespaceOf(pid, kind), ...found];
  return first === undefined ? [] : [first, ...others.filter((one) => one !== undefined)];
}

/** The same words for the namespace that a file such as /run/netns/NAME stands for. */
export async function namespaceIn(path: string, kind: NamespaceKind): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found === undefined ? undefined : `${kind}:[${found.ino}]`;
}

/** Its pid in each PID namespace, from that of our /proc to its own (proc_pid_status(5), NSpid). */
export async function pidsOf(pid: number): Promise<number[]> {
  const status = (await readIfPresent(`/proc/${pid}/status`)) ?? '';
  const line = /^NSpid:\s+(.*)$/m.exec(status)?.[1] ?? '';
  return line.split('\t').filter(Boolean).map(Number);
}

/** An open descriptor and what it leads to, such as `pipe:[4711]` or a path. */
export interface Descriptor {
  readonly fd: number;
  readonly target: string;
}

/** Empty for a process that is gone. */
export async function descriptorsOf(pid: number): Promise<Descriptor[]> {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const links = await Promise.all(
    names.map(async (name) => ({
      fd: Number(name),
      target: await readlink(`/proc/${pid}/fd/${name}`).catch(() => ''),
    })),
  );
  return links.filter(({ target }) => target !== '');
}

/** One line of /proc/PID/mountinfo (proc_pid_mountinfo(5)). */
export interface Mount {
  readonly point: string;
  /** Which directory of its file system is seen there, and of which device: `MAJOR:MINOR`. */
  readonly root: string;
  readonly device: string;
}

/** The mounts of a process's mount namespace; none for one that is gone. */
export async function readMounts(pid: number | 'self'): Promise<Mount[]> {
  const text = (await readIfPresent(`/proc/${pid}/mountinfo`)) ?? '';
  return text.split('\n').flatMap((line) => {
    const [, , device, root, point] = line.split(' ');
    if (device === undefined || root === undefined || point === undefined) return [];
    return [{ device, root, point }];
  });
}
