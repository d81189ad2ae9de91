import { chmod, chown, open, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MigrateError } from '../base/errors.ts';
import type { UndoStack } from '../base/undo.ts';
import type { Manifest } from '../bundle/index.ts';
import { makePrivateDirectory } from '../host/files.ts';
import { logPathOf } from '../job/paths.ts';

/**
 * Puts the job's log where the job holds it open. No other path of a bundle is ever written: a
 * file that the manifest names and that is not the log is refused.
 */
export async function placeFiles(manifest: Manifest, unpacked: string): Promise<void> {
  const log = logPathOf(manifest.job.name, manifest.job.rootfs);
  for (const file of manifest.files) {
    if (file.path !== log) {
      throw new MigrateError('BUNDLE_UNSAFE', `the bundle wants to write ${file.path}`);
    }
    await makePrivateDirectory(dirname(log));
    const content = await readFile(join(unpacked, String(file.id)));
    // The log of an earlier stay here is older than the end that came along.
    const target = await open(log, 'w', 0o600);
    try {
      await target.writeFile(content);
    } finally {
      await target.close();
    }
    await chmod(log, file.mode & 0o666);
    await chown(log, file.uid, file.gid);
  }
}

/** The log exists before the restore even when none came along; one that is new can be undone. */
export async function ensureLog(name: string, undo: UndoStack, rootfs?: string): Promise<void> {
  const log = logPathOf(name, rootfs);
  await makePrivateDirectory(dirname(log));
  if ((await stat(log).catch(() => undefined)) !== undefined) return;
  undo.push('log', () => rm(log, { force: true }));
  await (await open(log, 'a', 0o600)).close();
}
