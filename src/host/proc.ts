import { readlink } from 'node:fs/promises';
import { readIfPresent } from './files.ts';

/** What /proc/PID/stat says of one process (proc_pid_stat(5)). */
export interface ProcessStat {
  readonly pid: number;
  readonly name: string;
  readonly state: string;
  readonly ppid: number;
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
