import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureTools, ROOTFS_TOOLS } from '../machine/tools.ts';
import type { GuestGround } from '../model.ts';
import { cached } from '../rootfs/cache.ts';
import { APART, BUILD_TIMEOUT_MS, debianDirectory } from '../rootfs/debian.ts';
import { recipeHash } from '../rootfs/recipe.ts';
import { run } from '../run.ts';

/** What guests boot: Debian's kernel, a small initrd, the root file system as a disk image. */
export async function ensureGuestGround(rootfs: string): Promise<Omit<GuestGround, 'accel'>> {
  const place = await cached(`guest-${await groundHash()}`, {
    what: "guests' kernel and disk",
    takes: 'half a minute',
    async build(aside) {
      await ensureTools(ROOTFS_TOOLS);
      const kernel = join(aside, 'kernel');
      await unpackKernel(kernel);
      const result = join(aside, 'ground');
      const words = [rootfs, kernel, join(aside, 'work'), INIT, result];
      await run([...APART, '/bin/sh', MAKE, ...words], { timeoutMs: BUILD_TIMEOUT_MS });
      return result;
    },
  });
  return {
    image: join(place, 'disk.ext4'),
    kernel: join(place, 'vmlinuz'),
    initrd: join(place, 'initrd'),
  };
}

/** Not the cloud flavour: that one lacks 9p, by which guests see the machine's directories. */
const KERNEL_PACKAGE = 'linux-image-amd64';
const MAKE = join(import.meta.dirname, 'make-ground.sh');
const INIT = join(import.meta.dirname, 'init.sh');
const HASH_LENGTH = 12;

/** Unpacks only: nothing of the package's own installation is wanted. */
async function unpackKernel(place: string): Promise<void> {
  await debianDirectory(place, ['--variant=extract', `--include=${KERNEL_PACKAGE}`]);
}

async function groundHash(): Promise<string> {
  const hash = createHash('sha256').update(recipeHash()).update(KERNEL_PACKAGE);
  for (const script of [MAKE, INIT]) hash.update(await readFile(script));
  return hash.digest('hex').slice(0, HASH_LENGTH);
}
