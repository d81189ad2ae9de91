import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MigrateError } from '../base/errors.ts';

/** The pages of one process that a lazy restore brings later, as CRIU's images list them. */
export interface LazyPages {
  /** Its number in its own PID namespace, which names its images. */
  readonly pid: number;
  /** Sorted; `start` is an address in bytes. */
  readonly runs: readonly { readonly start: number; readonly pages: number }[];
}

/**
 * Reads every `pagemap-PID.img` of a directory: two magic numbers, then messages with their length
 * before them, first a pagemap_head, then pagemap_entry (criu/images/pagemap.proto). Throws
 * BUNDLE_UNSAFE for an image that is none.
 */
export async function readLazyPages(images: string): Promise<LazyPages[]> {
  const found: LazyPages[] = [];
  for (const name of await readdir(images)) {
    const pid = /^pagemap-([1-9]\d{0,6})\.img$/.exec(name)?.[1];
    if (pid === undefined) continue;
    found.push({ pid: Number(pid), runs: lazyRuns(await readFile(join(images, name)), name) });
  }
  return found;
}

/** IMG_COMMON_MAGIC (criu/include/magic.h). */
const commonMagic = 0x5456_4319;
const field = { vaddr: 1, compatPages: 2, flags: 4, pages: 5 } as const;
/** PE_LAZY (criu/include/pagemap.h). */
const lazyFlag = 2;

function lazyRuns(image: Buffer, name: string): LazyPages['runs'] {
  if (image.length < 8 || image.readUInt32LE(0) !== commonMagic) throw unsafe(name);
  const runs: { start: number; pages: number }[] = [];
  for (let at = 8, number = 0; at < image.length; number += 1) {
    if (at + 4 > image.length) throw unsafe(name);
    const end = at + 4 + image.readUInt32LE(at);
    if (end > image.length) throw unsafe(name);
    const entry = readVarints(image.subarray(at + 4, end), name);
    at = end;
    if (number === 0 || ((entry.get(field.flags) ?? 0) & lazyFlag) === 0) continue;
    const start = entry.get(field.vaddr);
    const pages = entry.get(field.pages) ?? entry.get(field.compatPages);
    if (start === undefined || pages === undefined) throw unsafe(name);
    const isPossible = start % pageBytes === 0 && pages > 0;
    if (!isPossible || start + pages * pageBytes > addressMax) throw unsafe(name);
    runs.push({ start, pages });
  }
  return joined(runs, name);
}

/** In the order of addresses, which the pager goes by; none may have two pages. */
function joined(runs: LazyPages['runs'], name: string): LazyPages['runs'] {
  const found: { start: number; pages: number }[] = [];
  for (const { start, pages } of runs.toSorted((one, other) => one.start - other.start)) {
    const last = found.at(-1);
    const end = last === undefined ? 0 : last.start + last.pages * pageBytes;
    if (start < end) throw unsafe(name);
    if (last !== undefined && start === end) last.pages += pages;
    else found.push({ start, pages });
  }
  return found;
}

/** Where an x86-64 program's addresses end. */
const addressMax = 2 ** 47;
const pageBytes = 4096;

/** The fields of a protobuf message that has nothing but varints. */
function readVarints(message: Buffer, name: string): Map<number, number> {
  const fields = new Map<number, number>();
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 63; shift += 7) {
      const byte = message[at];
      at += 1;
      if (byte === undefined) throw unsafe(name);
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw unsafe(name);
  };
  while (at < message.length) {
    const key = varint();
    if ((key & 7) !== 0) throw unsafe(name);
    fields.set(key >> 3, varint());
  }
  return fields;
}

function unsafe(name: string): MigrateError {
  return new MigrateError('BUNDLE_UNSAFE', `${name} is not a page map`);
}
