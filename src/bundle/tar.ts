import { extract, type Header } from 'tar-stream';
import { asMigrateError, isMigrateError, MigrateError } from '../base/errors.ts';
import { bundleLimits } from './limits.ts';
import { tarName } from './names.ts';
import type { SectionSink } from './reader.ts';
import { ignoreErrorEvents, writeFully } from './tar-streams.ts';

export interface TarFile {
  readonly name: string;
  readonly size: number;
}

/** Where the files of a tar section go. */
export interface TarFiles {
  /** Opens a file that is taken as it arrives. */
  open(file: TarFile): Promise<TarFileSink>;
  /** Takes a small one whole, at once: a job with many connections has an image for each. */
  whole(file: TarFile, content: Uint8Array): void;
}

/** Takes the content of one file as it arrives; exactly one of `end` and `abort` is called. */
export interface TarFileSink {
  write(bytes: Uint8Array): Promise<void>;
  end(): Promise<void>;
  abort(): Promise<void>;
}

export interface TarSectionSink extends SectionSink {
  /** Files that are complete so far, in the order of the stream. */
  readonly files: readonly TarFile[];
}

/**
 * Reads a tar section, file by file. Only what `packFiles` writes passes: regular files with
 * flat names, each once, the same mode and time for all, no links, devices, directories, no pax or
 * GNU extensions. Anything else is BUNDLE_UNSAFE before a byte of it is handed out.
 */
export function readTar(target: TarFiles): TarSectionSink {
  const files: TarFile[] = [];
  const names = new Set<string>();
  const stream = extract();
  const ended = new Promise<void>((resolve, reject) => {
    let failure: unknown;
    let finished = false;
    stream.on('finish', () => {
      finished = true;
    });
    stream.on('error', (error) => {
      failure = error;
    });
    stream.on('close', () => (finished ? resolve() : reject(unsafeTar(failure))));
  });
  ended.catch(() => undefined);
  let receiving: Promise<void> = Promise.resolve();
  stream.on('entry', (header, content, next) => {
    ignoreErrorEvents(content);
    const done = (file: TarFile) => {
      files.push(file);
      next();
    };
    const failed = (error: unknown) => next(asMigrateError(error));
    try {
      const file = admit(header, names);
      if (file.size <= bundleLimits.smallFileBytesMax) {
        gather(content, (bytes) => target.whole(file, bytes), { done: () => done(file), failed });
      } else {
        receiving = receive(file, content, target).then(() => done(file));
        receiving.catch(failed);
      }
    } catch (error) {
      failed(error);
    }
  });
  return {
    files,
    async write(bytes) {
      await writeFully(stream, bytes).catch((error: unknown) => {
        throw unsafeTar(error);
      });
    },
    async end() {
      stream.end(null);
      await ended;
      await receiving;
    },
    async abort(error) {
      stream.destroy(asMigrateError(error));
      await Promise.allSettled([ended, receiving]);
    },
  };
}

/** Looks at every entry and keeps nothing. */
export function listTar(): TarSectionSink {
  const nothing = async () => undefined;
  const sink = { write: nothing, end: nothing, abort: nothing };
  return readTar({ open: async () => sink, whole: () => undefined });
}

/** What tar-stream gives for a file: a stream of streamx, which has these of Node's. */
type Entry = AsyncIterable<unknown> & {
  on(event: 'data', listener: (piece: unknown) => void): unknown;
  on(event: 'end', listener: () => void): unknown;
};

/** The file that a header stands for; BUNDLE_UNSAFE unless it may be there. */
function admit(header: Header, names: Set<string>): TarFile {
  assertPlainFile(header);
  const file = { name: header.name, size: header.size };
  if (names.has(header.name)) throw unsafe(`the file ${header.name} comes twice`);
  names.add(header.name);
  if (names.size > bundleLimits.tarEntriesMax) {
    throw unsafe(`there are more than ${bundleLimits.tarEntriesMax} files`);
  }
  return file;
}

/** Collects a small file by events: waiting for each of thousands costs more than they do. */
function gather(
  content: Entry,
  take: (bytes: Uint8Array) => void,
  on: { readonly done: () => void; readonly failed: (error: unknown) => void },
): void {
  const pieces: Buffer[] = [];
  content.on('data', (piece) => pieces.push(piece as Buffer));
  content.on('end', () => {
    try {
      take(pieces.length === 1 ? (pieces[0] ?? Buffer.alloc(0)) : Buffer.concat(pieces));
      on.done();
    } catch (error) {
      on.failed(error);
    }
  });
}

async function receive(file: TarFile, content: Entry, target: TarFiles): Promise<void> {
  const sink = await target.open(file);
  try {
    for await (const bytes of content) await sink.write(bytes as Uint8Array);
  } catch (error) {
    await sink.abort().catch(() => undefined);
    throw error;
  }
  await sink.end();
}

/** `type` is null for what tar-stream does not know, such as GNU sparse files. */
function assertPlainFile(header: Header): void {
  if (!tarName.test(header.name)) throw unsafe(`the name ${header.name} is not allowed`);
  const plain =
    header.type === 'file' &&
    (header.linkname ?? '') === '' &&
    (header.pax ?? null) === null &&
    header.mode === 0o600 &&
    header.mtime.getTime() === 0 &&
    header.uid + header.gid + header.devmajor + header.devminor === 0 &&
    Number.isSafeInteger(header.size);
  if (!plain) throw unsafe(`${header.name} is not a plain file`);
}

/** An error of the parser means a bad stream; an error of ours says by itself what it means. */
function unsafeTar(error: unknown): MigrateError {
  if (isMigrateError(error)) return error;
  const why = error instanceof Error ? error.message : 'it ends early';
  return new MigrateError('BUNDLE_UNSAFE', `a tar section cannot be read: ${why}`, {
    cause: error,
  });
}

function unsafe(what: string): MigrateError {
  return new MigrateError('BUNDLE_UNSAFE', `a tar section is refused: ${what}`);
}
