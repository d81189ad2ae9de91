import { bytesPerMs, type Point } from './plan.ts';
import type { Sample, Way } from './ways.ts';

/**
 * What a frozen time can't go below, by a model and not by a measurement: what bare CRIU was
 * measured to take for one process on this kind of machine, and the bytes that must travel while it
 * is frozen over the slowest part of their way. No connections, and no compression.
 */
const floorModel = {
  /** Freezing one process and describing it. */
  dumpMs: 3.4,
  /** Closing its network and opening it again. */
  lockMs: 25,
  /** The first instant of a restore, and its one process. */
  restoreMs: 11.1,
  /** One memory area, dumped and restored. */
  areaMs: 0.022,
  /** Dump and restore copy at this rate. */
  copyBytesPerMs: 1_300_000,
} as const;

export function floorMs(
  point: Point,
  way: Way,
  { memoryBytes, areas }: Pick<Sample, 'memoryBytes' | 'areas'>,
): number {
  const { dumpMs, lockMs, restoreMs, areaMs, copyBytesPerMs } = floorModel;
  const fixedMs = dumpMs + lockMs + restoreMs + areaMs * areas;
  const perMs = Math.min(copyBytesPerMs, bytesPerMs(point.link));
  return fixedMs + restBytes(point, way, { memoryBytes, fixedMs, perMs }) / perMs;
}

/** What must be sent of a frozen job, at the least. */
function restBytes(
  { contents, dirtyPercent }: Point,
  way: Way,
  at: { readonly memoryBytes: number; readonly fixedMs: number; readonly perMs: number },
): number {
  // Zeros need not travel, and what follows the job is not waited for.
  if (contents === 'zero' || way === 'migrate post-copy') return 0;
  if (way !== 'migrate pre-copy' && way !== 'migrate auto') return at.memoryBytes;
  const dirtyPerMs = (at.memoryBytes * dirtyPercent) / 100 / 1000;
  // Rounds only shrink when more can be sent than is written; then the fixed part alone remains.
  return dirtyPerMs >= at.perMs ? at.memoryBytes : dirtyPerMs * at.fixedMs;
}
