import { closeSync, openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { systemCalls } from '../host/syscalls.ts';
import { memoryLimits } from './limits.ts';
import type { PageRun } from './pages.ts';

/** Pages that hold something, and whether they were written to since the last `forgetWrites`. */
export interface ScannedRun extends PageRun {
  /** Always false on a kernel that does not track it (CONFIG_MEM_SOFT_DIRTY). */
  readonly isDirty: boolean;
}

/**
 * The pages of a process that CRIU restores lazily: private anonymous memory that is present or
 * swapped out and more than the kernel's zero page (criu/include/vma.h, vma_entry_can_be_lazy;
 * criu/pagemap-cache.c). Sorted by address. KERNEL (ENOTTY) on a kernel before 6.7, which has no
 * PAGEMAP_SCAN (Documentation/admin-guide/mm/pagemap.rst); empty for a process that is gone.
 */
export async function scanPages(pid: number): Promise<ScannedRun[]> {
  const areas = anonymousAreas(await readMaps(pid));
  if (areas.length === 0) return [];
  const fd = openSync(`/proc/${pid}/pagemap`, 'r');
  try {
    return areas.flatMap(([start, end]) => scanArea(fd, start, end));
  } finally {
    closeSync(fd);
  }
}

/** Whether this kernel answers PAGEMAP_SCAN at all. */
export async function canScan(): Promise<boolean> {
  return scanPages(process.pid).then(
    (runs) => runs.length > 0,
    () => false,
  );
}

/** From here on only what is written anew counts as dirty (proc_pid_clear_refs(5), 4). */
export async function forgetWrites(pid: number): Promise<void> {
  await writeFile(`/proc/${pid}/clear_refs`, '4');
}

const request = 0xc060_6610;
/** PAGE_IS_* of include/uapi/linux/fs.h. */
const is = {
  file: 1n << 2n,
  present: 1n << 3n,
  swapped: 1n << 4n,
  zero: 1n << 5n,
  dirty: 1n << 7n,
};
/** struct pm_scan_arg, 12 numbers; struct page_region, 3. */
const argument = { size: 96, start: 16, end: 24, walkEnd: 32 } as const;
const regionBytes = 24;

function scanArea(fd: number, start: number, end: number): ScannedRun[] {
  const { scanRegionsMax, pageBytes } = memoryLimits;
  const found: ScannedRun[] = [];
  const regions = regionsBuffer();
  const scan = Buffer.alloc(argument.size);
  const excluded = is.file | is.zero;
  const numbers = [96n, 0n, 0n, BigInt(end), 0n, systemCalls().addressOf(regions)];
  numbers.push(BigInt(scanRegionsMax), 0n, excluded, excluded, is.present | is.swapped, is.dirty);
  for (const [at, number] of numbers.entries()) scan.writeBigUInt64LE(number, at * 8);
  for (let from = start; from < end; ) {
    scan.writeBigUInt64LE(BigInt(from), argument.start);
    const count = systemCalls().ioctl(fd, request, scan, 'PAGEMAP_SCAN');
    for (let at = 0; at < count * regionBytes; at += regionBytes) {
      const first = Number(regions.readBigUInt64LE(at));
      const after = Number(regions.readBigUInt64LE(at + 8));
      const isDirty = regions.readUInt8(at + 16) !== 0;
      found.push({ start: first, pages: (after - first) / pageBytes, isDirty });
    }
    from = Number(scan.readBigUInt64LE(argument.walkEnd));
  }
  return found;
}

let kept: Buffer | undefined;

function regionsBuffer(): Buffer {
  kept ??= Buffer.alloc(memoryLimits.scanRegionsMax * regionBytes);
  return kept;
}

/** Lines of /proc/PID/maps (proc_pid_maps(5)) that belong to no file: start and end, bytes. */
function anonymousAreas(maps: string): [number, number][] {
  return maps.split('\n').flatMap((line): [number, number][] => {
    const [range = '', permissions = '', , , inode, name = ''] = line.split(/\s+/);
    if (permissions[3] !== 'p' || inode !== '0' || ofTheKernel.test(name)) return [];
    const [start = '', end = ''] = range.split('-');
    return [[Number.parseInt(start, 16), Number.parseInt(end, 16)]];
  });
}

const ofTheKernel = /^\[(vdso|vvar.*|vsyscall|uprobes)\]$/;

async function readMaps(pid: number): Promise<string> {
  return readFile(`/proc/${pid}/maps`, 'utf8').catch(() => '');
}
