import { MigrateError } from '../base/errors.ts';

/** The kernel gives no smaller ones again once it has begun anew (kernel/pid.c, RESERVED_PIDS). */
const pidMin = 300;
/** What a restore needs for itself, and what a tree forks between the plan and its freeze. */
const roomMin = 2_000;

/**
 * A number far from all of `taken`: the pids that follow it are free for the programs that restore
 * those processes in the same PID namespace. The middle of the widest gap. Pure.
 * Throws RESTORE_FAILED when a pid does not fit below `pidMax`, or nothing is free.
 */
export function quietPid(taken: readonly number[], pidMax: number): number {
  const sorted = [...new Set(taken)].filter((pid) => pid > pidMin).sort((a, b) => a - b);
  const highest = sorted.at(-1) ?? 0;
  if (highest >= pidMax) {
    throw new MigrateError('RESTORE_FAILED', `process id ${highest} is not to be had here`, {
      hint: `raise kernel.pid_max on the target above ${highest}, it is ${pidMax}`,
    });
  }
  const edges = [pidMin, ...sorted, pidMax];
  let [from, width] = [pidMin, 0];
  for (let at = 1; at < edges.length; at += 1) {
    const below = edges[at - 1] ?? 0;
    const gap = (edges[at] ?? 0) - below;
    if (gap > width) [from, width] = [below, gap];
  }
  if (width < 2 * roomMin) {
    throw new MigrateError('RESTORE_FAILED', `no ${roomMin} process ids in a row are free for it`, {
      hint: `raise kernel.pid_max on the target, it is ${pidMax}`,
    });
  }
  return from + Math.floor(width / 2);
}
