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
 * Reads a tar section into one sink a file. Only what `packFiles` writes passes: regular files with
 * flat names, each once, the same mode and time for all, no links, devices, directories, no pax or
 * GNU extensions. Anything else is BUNDLE_UNSAFE before a byte of it is handed out.
 */
export function readTar(onFile: (file: TarFile) => Promise<TarFileSink>): TarSectionSink {
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
    receiving = receive(header, content, names, onFile).then((file) => {
      files.push(file);
      next();
    });
    receiving.catch((error: unknown) => next(asMigrateError(error)));
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
  return readTar(async () => ({ write: nothing, end: nothing, abort: nothing }));
}

async function receive(
  header: Header,
  content: AsyncIterable<unknown>,
  names: Set<string>,
  onFile: (file: TarFile) => Promise<TarFileSink>,
): Promise<TarFile> {
  assertPlainFile(header);
  const file = { name: header.name, size: header.size };
  if (names.has(header.name)) throw unsafe(`the file ${header.name} comes twice`);
  names.add(header.name);
  if (names.size > bundleLimits.tarEntriesMax) {
    throw unsafe(`there are more than ${bundleLimits.tarEntriesMax} files`);
  }
  const sink = await onFile(file);
  try {
    for await (const bytes of content) await sink.write(bytes as Uint8Array);
  } catch (error) {
    await sink.abort().catch(() => undefined);
    throw error;
  }
  await sink.end();
  return file;
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
