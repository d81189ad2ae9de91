import { rmdir } from 'node:fs/promises';
import type { UndoStack } from '../base/undo.ts';
import { makePrivateDirectory } from '../host/files.ts';
import { run } from '../host/run.ts';

/**
 * A directory for images on a tmpfs of its own: memory that was dumped never reaches a disk, and
 * one unmount is sure to free all of it. Closed to everybody but us.
 */
export async function makeImagesDirectory(path: string, undo: UndoStack): Promise<void> {
  undo.push('images', () => removeImagesDirectory(path));
  await makePrivateDirectory(path);
  await run('mount', [
    '-t',
    'tmpfs',
    '-o',
    'mode=0700,size=95%,nosuid,nodev,noexec',
    'migrate',
    path,
  ]);
}

/** Unmounts and removes it; one that is not there is fine. */
export async function removeImagesDirectory(path: string): Promise<void> {
  await run('umount', ['-l', path], { okCodes: [0, 1, 32] });
  await rmdir(path).catch(() => undefined);
}

/** Bytes of page data among CRIU's images: `pages-N.img` holds nothing else. */
export function pageBytesOf(
  images: readonly { readonly name: string; readonly size: number }[],
): number {
  const pages = images.filter(({ name }) => name.startsWith('pages-'));
  return pages.reduce((sum, { size }) => sum + size, 0);
}
