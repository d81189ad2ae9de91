import { closeSync, constants, openSync, write as writeCallback, writeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { asMigrateError, MigrateError } from '../base/errors.ts';
import { bundleLimits } from './limits.ts';
import { readTar, type TarFile, type TarFileSink, type TarSectionSink } from './tar.ts';

/**
 * Writes the files of a tar section into `directory` as they arrive: new ones only, mode 0600.
 * The directory must exist, belong to us and be closed to everybody else; it stays the same one
 * even if its path is changed meanwhile. What was written when the bundle turns out bad stays
 * there: remove the directory. It has to be in memory or on a local disk: small files are written
 * without leaving the thread, because a job is frozen meanwhile. Throws BUNDLE_UNSAFE for the
 * content, TRANSFER_FAILED for the disk.
 */
export async function extractTarTo(directory: string): Promise<TarSectionSink> {
  const root = await openPrivateDirectory(directory);
  const sink = readTar({
    open: async (file) => createFile(root, file),
    whole: (file, content) => writeWhole(root, file, content),
  });
  return {
    files: sink.files,
    write: (bytes) => sink.write(bytes),
    async end() {
      await sink.end();
      await root.close();
    },
    async abort(error) {
      await sink.abort?.(error);
      await root.close();
    },
  };
}

async function openPrivateDirectory(directory: string): Promise<FileHandle> {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  const root = await open(directory, flags).catch(diskError);
  const found = await root.stat();
  if ((found.mode & 0o077) === 0 && found.uid === process.geteuid?.()) return root;
  await root.close();
  throw new MigrateError('TRANSFER_FAILED', `${directory} must be ours alone, with mode 0700`);
}

const newFile = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Through the open directory, so that nothing on the way to it can be swapped. */
function openNew(root: FileHandle, { name }: TarFile): number {
  return onDisk(() => openSync(`/proc/self/fd/${root.fd}/${name}`, newFile, 0o600));
}

function writeWhole(root: FileHandle, file: TarFile, content: Uint8Array): void {
  const fd = openNew(root, file);
  try {
    for (let written = 0; written < content.length; ) {
      written += onDisk(() => writeSync(fd, content, written));
    }
  } finally {
    closeSync(fd);
  }
}

function createFile(root: FileHandle, file: TarFile): TarFileSink {
  const fd = openNew(root, file);
  return {
    async write(bytes) {
      for (let written = 0; written < bytes.length; )
        written += await writeSome(fd, bytes, written);
    },
    end: async () => onDisk(() => closeSync(fd)),
    abort: async () => closeSync(fd),
  };
}

async function writeSome(fd: number, bytes: Uint8Array, offset: number): Promise<number> {
  if (bytes.length <= bundleLimits.smallFileBytesMax) {
    return onDisk(() => writeSync(fd, bytes, offset));
  }
  return (await write(fd, bytes, offset).catch(diskError)).bytesWritten;
}

const write = promisify(writeCallback);

function onDisk<T>(operation: () => T): T {
  try {
    return operation();
  } catch (error) {
    return diskError(error);
  }
}

function diskError(error: unknown): never {
  throw asMigrateError(error, 'TRANSFER_FAILED');
}
