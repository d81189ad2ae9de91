import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { say } from '../errors.ts';
import { withLock } from '../lock.ts';
import { CACHE_DIR, LOCK_DIR } from '../paths.ts';

/**
 * A directory in the cache, made at most once. It is filled aside and renamed, so that the cache
 * never shows half of it, and under a lock, so that two labs starting at once make one.
 */
export async function cached(name: string, make: Maker): Promise<string> {
  const place = join(CACHE_DIR, name);
  if (await exists(place)) return place;
  const kind = name.replace(/-[^-]*$/, '');
  return withLock(join(LOCK_DIR, `.${kind}.lock`), async () => {
    if (await exists(place)) return place;
    const started = Date.now();
    await mkdir(CACHE_DIR, { recursive: true });
    await removeRemains(kind);
    const aside = await mkdtemp(join(CACHE_DIR, `${BUILDING}${kind}-`));
    try {
      say(`building the ${make.what} (once, ${make.takes}): ${place}`);
      await rename(await make.build(aside), place);
    } finally {
      await rm(aside, { recursive: true, force: true });
    }
    say(`built the ${make.what} in ${Math.round((Date.now() - started) / 1000)} s`);
    return place;
  });
}

export interface Maker {
  readonly what: string;
  readonly takes: string;
  /** Builds under the directory it is given, and says what in there is the result. */
  build(aside: string): Promise<string>;
}

const BUILDING = 'building-';

/** Whoever holds the lock knows that no other build of this kind is under way. */
async function removeRemains(kind: string): Promise<void> {
  for (const entry of await readdir(CACHE_DIR)) {
    if (!entry.startsWith(`${BUILDING}${kind}-`)) continue;
    await rm(join(CACHE_DIR, entry), { recursive: true, force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
