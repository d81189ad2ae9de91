import { closeSync, fchmodSync, fchownSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
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
    // The log of an earlier stay here is older than the end that came along. Without leaving the
    // thread: a trip for each step costs more than they do, and the job is frozen.
    const target = openSync(log, 'w', 0o600);
    try {
      writeFileSync(target, readFileSync(join(unpacked, String(file.id))));
      fchmodSync(target, file.mode & 0o666);
      fchownSync(target, file.uid, file.gid);
    } finally {
      closeSync(target);
    }
  }
}

/** The log exists before the restore even when none came along; one that is new can be undone. */
export async function ensureLog(name: string, undo: UndoStack, rootfs?: string): Promise<void> {
  const log = logPathOf(name, rootfs);
  await makePrivateDirectory(dirname(log));
  const present = await stat(log).catch(() => undefined);
  if (present?.isFile() === true) return;
  if (present !== undefined) {
    throw new MigrateError('RESTORE_FAILED', `${log} is there and is no file`);
  }
  undo.push('log', () => rm(log, { force: true }));
  await (await open(log, 'a', 0o600)).close();
}
