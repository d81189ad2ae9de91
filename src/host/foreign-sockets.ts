import { closeSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { socketCalls } from './socket-calls.ts';

/**
 * The sockets of another process, by duplicates of its descriptors (pidfd_getfd(2)): an option
 * that is set on a duplicate is set on the socket itself. Needs to be root.
 */
export interface ForeignProcess {
  /** Calls `use` with a duplicate, closed afterwards; undefined when it has no such descriptor. */
  borrow<T>(fd: number, use: (socket: number) => T): T | undefined;
  close(): void;
}

/** Undefined when the process is gone. */
export function openForeignProcess(pid: number): ForeignProcess | undefined {
  const calls = socketCalls();
  const processFd = calls.openProcess(pid);
  if (processFd === undefined) return undefined;
  return {
    borrow(fd, use) {
      const own = calls.duplicateFrom(processFd, fd);
      if (own === undefined) return undefined;
      try {
        return use(own);
      } finally {
        closeSync(own);
      }
    },
    close: () => closeSync(processFd),
  };
}

/** An open descriptor and what /proc says it leads to: `socket:[4711]`, a path. */
export interface OpenDescriptor {
  readonly fd: number;
  readonly target: string;
}

/** All of a process's descriptors, read at once: ten thousand take some 50 ms. */
export function openDescriptorsOf(pid: number): OpenDescriptor[] {
  const directory = `/proc/${pid}/fd`;
  const found: OpenDescriptor[] = [];
  for (const name of orGone(() => readdirSync(directory)) ?? []) {
    const target = orGone(() => readlinkSync(`${directory}/${name}`));
    if (target !== undefined) found.push({ fd: Number(name), target });
  }
  return found;
}

/** What /proc/PID/fdinfo says of a descriptor (proc_pid_fdinfo(5)); nothing when it is gone. */
export function descriptorInfo(pid: number, fd: number): string {
  return orGone(() => readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8')) ?? '';
}

/** What names a process in the namespaces that it is in; undefined for one that is gone. */
export interface ProcessName {
  readonly program: string;
  /** Its pids, from our /proc's namespace down to its own (NSpid, proc_pid_status(5)). */
  readonly pids: readonly number[];
}

export function nameOfProcess(pid: number): ProcessName | undefined {
  const status = orGone(() => readFileSync(`/proc/${pid}/status`, 'utf8'));
  if (status === undefined) return undefined;
  const field = (name: string): string =>
    new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)?.[1] ?? '';
  return { program: field('Name'), pids: field('NSpid').split('\t').filter(Boolean).map(Number) };
}

/** A file of /proc/PID/net, which is about that process's network namespace; '' when absent. */
export function readProcNet(pid: number, file: 'igmp' | 'igmp6'): string {
  return orGone(() => readFileSync(`/proc/${pid}/net/${file}`, 'utf8')) ?? '';
}

/** A process may end, and a descriptor be closed, while we look. */
function orGone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
