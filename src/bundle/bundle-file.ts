import { constants } from 'node:fs';
import { type FileHandle, lstat, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { asMigrateError, MigrateError } from '../base/errors.ts';
import { isErrno } from '../host/files.ts';
import { bundleLimits } from './limits.ts';
import type { ByteSink } from './sink.ts';

/** A bundle on its way into a file: nothing is at `path` before `commit`, all of it after. */
export interface BundleFile extends ByteSink {
  /** Syncs the file and gives it its name; replaces what had that name. */
  commit(): Promise<void>;
  /** Removes what was written. */
  discard(): Promise<void>;
}

/**
 * Readable by its owner alone: a bundle holds a job's memory. Throws USAGE for the name of
 * something else than a file, which would be gone afterwards, and TRANSFER_FAILED.
 */
export async function createBundleFile(path: string): Promise<BundleFile> {
  const present = await lstat(path).catch(() => undefined);
  if (present !== undefined && !present.isFile()) {
    throw new MigrateError('USAGE', `${path} is there and is no regular file`);
  }
  const partial = partialOf(path);
  await unlink(partial).catch(() => undefined);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const handle = await open(partial, flags, 0o600).catch(diskError);
  return {
    async write(bytes) {
      for (let written = 0; written < bytes.length; ) {
        written += (await handle.write(bytes, written).catch(diskError)).bytesWritten;
      }
    },
    async commit() {
      try {
        await handle.sync();
        await handle.close();
        await rename(partial, path);
        await syncDirectory(dirname(path));
      } catch (error) {
        diskError(error);
      }
    },
    async discard() {
      await handle.close().catch(() => undefined);
      await unlink(partial).catch(() => undefined);
    },
  };
}

/** Removes what a writer that was killed has left of a bundle: it holds a job's memory. */
export async function removePartialBundle(path: string): Promise<void> {
  await unlink(partialOf(path)).catch(() => undefined);
}

function partialOf(path: string): string {
  return `${path}.partial`;
}

/** The bytes of a file in chunks, one read ahead. Throws TRANSFER_FAILED. */
export async function* readBundleFile(path: string): AsyncGenerator<Uint8Array, void, void> {
  const handle = await open(path, constants.O_RDONLY).catch((error) => {
    if (isErrno(error, 'ENOENT')) throw new MigrateError('USAGE', `there is no file ${path}`);
    return diskError(error);
  });
  try {
    let next = readChunk(handle);
    for (let chunk = await next; chunk.length > 0; chunk = await next) {
      next = readChunk(handle);
      next.catch(() => undefined);
      yield chunk;
    }
  } finally {
    await handle.close();
  }
}

async function readChunk(handle: FileHandle): Promise<Buffer> {
  const chunk = Buffer.allocUnsafe(bundleLimits.chunkBytesMax);
  const { bytesRead } = await handle.read(chunk).catch(diskError);
  return chunk.subarray(0, bytesRead);
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function diskError(error: unknown): never {
  throw asMigrateError(error, 'TRANSFER_FAILED');
}
