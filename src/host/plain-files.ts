import { constants } from 'node:fs';
import { lstat, mkdir, open, readdir, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isErrno } from './files.ts';

/** A file of a directory that is to hold regular files and nothing else. */
export interface PlainFile {
  readonly name: string;
  readonly content: Buffer;
  /** Who may read and write it, as open(2) has it, less what its directory keeps people from. */
  readonly mode: number;
  /** Why its content was not read: it is no regular file, or too large. */
  readonly problem?: string;
}

export interface PlainLimits {
  readonly filesMax: number;
  readonly fileBytesMax: number;
}

/** Neither a link at the end of the path is followed, nor a FIFO waited for (open(2)). */
const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const createFlags =
  constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** The files of a directory, by name; none without one. What is too many is a problem. */
export async function readPlainDirectory(
  directory: string,
  { filesMax, fileBytesMax }: PlainLimits,
): Promise<PlainFile[]> {
  const found: PlainFile[] = [];
  const allowed = openTo(await modeOf(directory));
  for (const name of (await namesIn(directory)).sort()) {
    if (found.length >= filesMax) {
      return [...found, { name, ...nothing, problem: `more than ${filesMax} files` }];
    }
    const file = await readPlain(`${directory}/${name}`, fileBytesMax);
    found.push({ name, ...file, mode: file.mode & allowed });
  }
  return found;
}

/**
 * A new file with these permissions (9 bits) and its directory of mode 0755; throws EEXIST when
 * there is one.
 */
export async function makePlainFile(path: string, content: Buffer, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  const file = await open(path, createFlags, mode & 0o600);
  try {
    // The umask of whoever started us is not the file's.
    await file.chmod(mode);
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The directories that making this one would make, the outermost first. */
export async function missingDirectories(directory: string): Promise<string[]> {
  const missing: string[] = [];
  for (let path = directory; path !== dirname(path); path = dirname(path)) {
    try {
      await lstat(path);
      return missing;
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
      missing.unshift(path);
    }
  }
  return missing;
}

/** Removes a directory if it is there and empty. */
export async function removeEmptyDirectory(path: string): Promise<void> {
  await rmdir(path).catch(unlessErrno('ENOENT', 'ENOTEMPTY'));
}

/** Takes a file away that holds `content` or a part of it. */
export async function removePlainFile(path: string, content: Buffer): Promise<void> {
  const found = await readPlain(path, content.length);
  if (
    found.problem !== undefined ||
    !content.subarray(0, found.content.length).equals(found.content)
  ) {
    return;
  }
  await unlink(path).catch(unlessErrno('ENOENT'));
}

const nothing = { content: Buffer.alloc(0), mode: 0 };

async function modeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).mode;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return 0;
    throw error;
  }
}

/** The permissions that a directory of this mode leaves to what is in it: who may enter it. */
function openTo(directory: number): number {
  const toGroup = directory & 0o010 ? 0o070 : 0;
  const toOthers = directory & 0o001 ? 0o007 : 0;
  return 0o700 | toGroup | toOthers;
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

async function readPlain(path: string, bytesMax: number): Promise<Omit<PlainFile, 'name'>> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path, readFlags);
  } catch (error) {
    if (isErrno(error, 'ELOOP')) return { ...nothing, problem: 'is a symbolic link' };
    if (isErrno(error, 'ENOENT')) return { ...nothing, problem: 'is gone' };
    if (isErrno(error, 'ENXIO')) return { ...nothing, problem: 'is no regular file' };
    throw error;
  }
  try {
    const found = await file.stat();
    if (!found.isFile()) return { ...nothing, problem: 'is no regular file' };
    const buffer = Buffer.alloc(bytesMax + 1);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    if (bytesRead > bytesMax) return { ...nothing, problem: `larger than ${bytesMax} bytes` };
    return { content: buffer.subarray(0, bytesRead), mode: found.mode & 0o777 };
  } finally {
    await file.close();
  }
}

function unlessErrno(...codes: readonly string[]): (error: unknown) => void {
  return (error) => {
    if (!codes.some((code) => isErrno(error, code))) throw error;
  };
}
