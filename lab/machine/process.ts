import { readFile } from 'node:fs/promises';
import type { HostProcess } from '../model.ts';
import { waitUntil } from '../wait.ts';

/** True while that very process, and no later one with its number, is alive. */
export async function isAlive(process: HostProcess | undefined): Promise<boolean> {
  if (process === undefined) return false;
  const now = await identify(process.pid);
  return now?.startTime === process.startTime;
}

/** The process of this number, or undefined when there is none, or only its remains. */
export async function identify(pid: number): Promise<HostProcess | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (stat === undefined) return undefined;
  // The program's name comes in parentheses and may hold anything, so fields count from its end.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields[0];
  const startTime = fields[START_TIME_AFTER_NAME];
  if (startTime === undefined || state === 'Z' || state === 'X') return undefined;
  return { pid, startTime };
}

/** Kills a process that is still the one meant, and waits until it is gone. */
export async function killAndWait(target: HostProcess): Promise<boolean> {
  if (await isAlive(target)) process.kill(target.pid, 'SIGKILL');
  return waitUntil(async () => !(await isAlive(target)), { forMs: DEATH_LIMIT_MS, everyMs: 10 });
}

const START_TIME_AFTER_NAME = 19;
const DEATH_LIMIT_MS = 20_000;
