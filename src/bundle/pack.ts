import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Pack, pack } from 'tar-stream';
import { assert } from '../base/assert.ts';
import { asMigrateError, MigrateError } from '../base/errors.ts';
import { bundleLimits } from './limits.ts';
import { tarName } from './names.ts';
import type { SectionDigest, SectionName } from './sections.ts';
import { ignoreErrorEvents, writeFully } from './tar-streams.ts';
import type { BundleWriter } from './writer.ts';

/** A file and its name in the tar stream, [A-Za-z0-9._-]{1,100}. */
export interface FileToPack {
  readonly name: string;
  readonly path: string;
  /** Bytes to take from its start; what the file has when it is opened, unless said. */
  readonly size?: number;
}

export interface PackedSection extends SectionDigest {
  readonly files: readonly { readonly name: string; readonly size: number }[];
}

/**
 * Writes one tar section with every file of a directory, by name. The directory has to be in memory
 * or on a local disk: small files are read without leaving the thread, because a job is frozen
 * meanwhile. Throws DUMP_FAILED when it holds anything but regular files with good names, or a file
 * shrinks.
 */
export async function packDirectory(
  writer: BundleWriter,
  section: SectionName,
  directory: string,
): Promise<PackedSection> {
  const names = await readdir(directory).catch((error: unknown) => {
    throw asMigrateError(error, 'DUMP_FAILED');
  });
  const files = names.sort().map((name) => ({ name, path: join(directory, name) }));
  return packFiles(writer, section, files);
}

/**
 * Writes one tar section. Small files are read at once; others in chunks, one ahead, while earlier
 * ones are hashed and sent. `files` may be a generator that names each file when it is ready.
 */
export async function packFiles(
  writer: BundleWriter,
  section: SectionName,
  files: Iterable<FileToPack> | AsyncIterable<FileToPack>,
): Promise<PackedSection> {
  const output = writer.section(section);
  const archive = pack();
  const fed = feed(files, archive);
  // A failure of the feed reaches the loop below as the error of the archive.
  fed.catch((error: unknown) => archive.destroy(asMigrateError(error, 'DUMP_FAILED')));
  for await (const piece of archive) await output.write(piece as Uint8Array);
  const packed = await fed;
  return { ...(await output.end()), files: packed };
}

async function feed(
  files: Iterable<FileToPack> | AsyncIterable<FileToPack>,
  archive: Pack,
): Promise<{ name: string; size: number }[]> {
  const packed: { name: string; size: number }[] = [];
  const names = new Set<string>();
  for await (const file of files) {
    assert(tarName.test(file.name), `${file.name} cannot be a name in a bundle`);
    assert(!names.has(file.name), `${file.name} comes twice`);
    names.add(file.name);
    if (names.size > bundleLimits.tarEntriesMax) {
      throw new MigrateError('DUMP_FAILED', `more than ${bundleLimits.tarEntriesMax} files`);
    }
    packed.push({ name: file.name, size: await feedFile(file, archive) });
  }
  archive.finalize();
  return packed;
}

/** Adds one file to the archive and returns its size in bytes. */
async function feedFile(file: FileToPack, archive: Pack): Promise<number> {
  const content = readSmallFile(file);
  if (content === undefined) return feedLargeFile(file, archive);
  await new Promise<void>((resolve, reject) => {
    const header = headerOf(file.name, content.length);
    const entry = archive.entry(header, content, (error) => (error ? reject(error) : resolve()));
    ignoreErrorEvents(entry);
  });
  return content.length;
}

async function feedLargeFile(file: FileToPack, archive: Pack): Promise<number> {
  const handle = await open(file.path, openFlags);
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw notRegular(file.path);
    const size = file.size ?? found.size;
    const entry = archive.entry(headerOf(file.name, size));
    ignoreErrorEvents(entry);
    let next = readChunk(handle, file.path, 0, size);
    for (let offset = 0; offset < size; ) {
      const chunk = await next;
      offset += chunk.length;
      next = readChunk(handle, file.path, offset, size);
      next.catch(() => undefined);
      await writeFully(entry, chunk);
    }
    entry.end(null);
    return size;
  } finally {
    await handle.close();
  }
}

// O_NONBLOCK: opening a FIFO would wait for its writer; fstat refuses it right after.
const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** What is wanted of a file, or undefined when that is not small. */
function readSmallFile({ path, size: wanted }: FileToPack): Buffer | undefined {
  const fd = openSync(path, openFlags);
  try {
    const found = fstatSync(fd);
    if (!found.isFile()) throw notRegular(path);
    const size = wanted ?? found.size;
    if (size > bundleLimits.smallFileBytesMax) return undefined;
    const content = Buffer.allocUnsafe(size);
    for (let read = 0; read < content.length; ) {
      const bytes = readSync(fd, content, read, content.length - read, read);
      if (bytes === 0) throw becameShorter(path);
      read += bytes;
    }
    return content;
  } finally {
    closeSync(fd);
  }
}

/** Mode and time are the same for every file: what a file is on the target, others say. */
function headerOf(name: string, size: number) {
  return { name, size, mode: 0o600, mtime: new Date(0), type: 'file' } as const;
}

/** A chunk of the file in a buffer of its own: the sink may still hold the one before. */
async function readChunk(
  handle: FileHandle,
  path: string,
  offset: number,
  size: number,
): Promise<Buffer> {
  const length = Math.min(bundleLimits.chunkBytesMax, size - offset);
  if (length <= 0) return Buffer.alloc(0);
  const chunk = Buffer.allocUnsafe(length);
  const { bytesRead } = await handle.read(chunk, 0, length, offset);
  if (bytesRead === 0) throw becameShorter(path);
  return chunk.subarray(0, bytesRead);
}

function notRegular(path: string): MigrateError {
  return new MigrateError('DUMP_FAILED', `${path} is no regular file`);
}

function becameShorter(path: string): MigrateError {
  return new MigrateError('DUMP_FAILED', `${path} became shorter while it was read`);
}
