import { constants } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Pack, pack } from 'tar-stream';
import { assert } from '../base/assert.ts';
import { asMigrateError, MigrateError } from '../base/errors.ts';
import { bundleLimits } from './limits.ts';
import { tarName } from './names.ts';
import type { SectionDigest, SectionName } from './sections.ts';
import { writeFully } from './tar-streams.ts';
import type { BundleWriter, SectionWriter } from './writer.ts';

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
 * Writes one tar section with every file of a directory, by name. Throws DUMP_FAILED when the
 * directory holds anything but regular files with good names, or a file shrinks meanwhile.
 */
export async function packDirectory(
  writer: BundleWriter,
  section: SectionName,
  directory: string,
): Promise<PackedSection> {
  const names = await readdir(directory).catch((error: unknown) => {
    throw asMigrateError(error, 'DUMP_FAILED');
  });
  return packFiles(
    writer,
    section,
    names.sort().map((name) => ({ name, path: join(directory, name) })),
  );
}

/**
 * Writes one tar section. Files are read in chunks, one ahead, while earlier ones are hashed and
 * sent; `files` may be a generator that names each file when it is ready.
 */
export async function packFiles(
  writer: BundleWriter,
  section: SectionName,
  files: Iterable<FileToPack> | AsyncIterable<FileToPack>,
): Promise<PackedSection> {
  const output = writer.section(section);
  const packed = await pump(files, output);
  return { ...(await output.end()), files: packed };
}

async function pump(
  files: Iterable<FileToPack> | AsyncIterable<FileToPack>,
  output: SectionWriter,
): Promise<{ name: string; size: number }[]> {
  const archive = pack();
  const fed = feed(files, archive);
  // A failure of the feed reaches the loop below as the error of the archive.
  fed.catch((error: unknown) => archive.destroy(asMigrateError(error, 'DUMP_FAILED')));
  for await (const piece of archive) await output.write(piece as Uint8Array);
  return fed;
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

async function feedFile(file: FileToPack, archive: Pack): Promise<number> {
  // O_NONBLOCK: opening a FIFO would wait for its writer; fstat refuses it right after.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(file.path, flags);
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw new MigrateError('DUMP_FAILED', `${file.path} is no regular file`);
    const size = file.size ?? found.size;
    const header = { name: file.name, size, mode: tarMode, mtime: tarTime, type: 'file' } as const;
    const entry = archive.entry(header);
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

/** The same for every file: what a file is worth on the target, the manifest and CRIU say. */
const tarMode = 0o600;
const tarTime = new Date(0);

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
  if (bytesRead === 0) throw new MigrateError('DUMP_FAILED', `${path} became shorter`);
  return chunk.subarray(0, bytesRead);
}
