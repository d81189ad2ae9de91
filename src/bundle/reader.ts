import { createHash, type Hash } from 'node:crypto';
import { MigrateError } from '../base/errors.ts';
import { type ByteSource, createByteSource } from './byte-source.ts';
import { decodeFrame, type Frame, type FrameOf, magic } from './frames.ts';
import { lengthBytes } from './header.ts';
import { bundleLimits } from './limits.ts';
import { assertManifest, type Manifest } from './manifest.ts';
import {
  isSectionName,
  roleOf,
  type SectionDigest,
  type SectionKind,
  type SectionName,
  type SectionRole,
} from './sections.ts';
import type { BundleBegin, BundleSummary } from './writer.ts';

/** Takes the payload of one section as it arrives, long before anybody knows that it is whole. */
export interface SectionSink {
  /** Called again only after it resolved. The bytes stay as they are until then. */
  write(bytes: Uint8Array): Promise<void>;
  /** The section is whole: length and digest were right. */
  end(): Promise<void>;
  /** The bundle is bad, or the source failed, inside this section. */
  abort?(error: unknown): Promise<void>;
}

export interface BundleSection {
  readonly name: SectionName;
  readonly kind: SectionKind;
}

export interface BundleHandlers {
  /** First of all; throw to refuse a bundle that is not the one expected. */
  onBegin?(begin: BundleBegin, version: number): Promise<void> | void;
  onSection(section: BundleSection): SectionSink | Promise<SectionSink>;
}

export interface ReadOptions {
  /** Payload bytes that a section may have here; what the format allows, unless said. */
  readonly sectionBytesMax?: Partial<Readonly<Record<SectionRole, number>>>;
}

export interface BundleContent extends BundleSummary {
  readonly begin: BundleBegin;
  readonly manifest: Manifest;
}

/**
 * Reads one bundle to the end of `source` and resolves only when every digest was right and nothing
 * follows: until then all that the sinks got is untrusted. Waits as long as `source` does.
 * Throws BUNDLE_TRUNCATED, BUNDLE_CORRUPT, BUNDLE_UNSAFE, BUNDLE_VERSION; TRANSFER_FAILED when
 * `source` fails; and whatever a handler throws.
 */
export async function readBundle(
  source: AsyncIterable<Uint8Array>,
  handlers: BundleHandlers,
  options: ReadOptions = {},
): Promise<BundleContent> {
  const input = createByteSource(source);
  try {
    return await readFrames({ input, frames: createHash('sha256'), handlers, options });
  } finally {
    await input.close();
  }
}

interface Reading {
  readonly input: ByteSource;
  readonly frames: Hash;
  readonly handlers: BundleHandlers;
  readonly options: ReadOptions;
}

async function readFrames(reading: Reading): Promise<BundleContent> {
  await readMagic(reading);
  const first = await nextFrame(reading);
  if (first.type !== 'begin') throw misplaced(first);
  const begin: BundleBegin = { id: first.id, createdAt: first.createdAt };
  await reading.handlers.onBegin?.(begin, first.version);
  const sections: SectionDigest[] = [];
  let frame = await nextFrame(reading);
  for (; frame.type === 'section'; frame = await nextFrame(reading)) {
    const { name } = frame;
    if (!isSectionName(name, first.version)) {
      const said = `version ${first.version} has no section ${name}`;
      throw new MigrateError('BUNDLE_UNSAFE', said);
    }
    if (sections.some((section) => section.name === name)) {
      throw new MigrateError('BUNDLE_UNSAFE', `section ${name} comes twice`);
    }
    sections.push(await readSection(reading, frame));
  }
  if (frame.type !== 'manifest') throw misplaced(frame);
  const manifest = assertManifest(frame.manifest);
  if (
    manifest.id !== begin.id ||
    manifest.createdAt !== begin.createdAt ||
    manifest.format.version !== first.version
  ) {
    throw new MigrateError('BUNDLE_UNSAFE', 'the manifest belongs to another bundle');
  }
  const digest = reading.frames.copy().digest();
  const end = await nextFrame(reading);
  if (end.type !== 'end') throw misplaced(end);
  assertEndMatches(end, sections, digest);
  const bytes = reading.input.offset;
  if (!(await reading.input.atEnd())) {
    throw new MigrateError('BUNDLE_UNSAFE', 'bytes follow the last frame of the bundle');
  }
  return { begin, manifest, sections, bytes, sha256: digest.toString('hex') };
}

async function readSection(reading: Reading, frame: FrameOf<'section'>): Promise<SectionDigest> {
  const { name, kind } = frame;
  const { input, handlers, options } = reading;
  const role = roleOf(name);
  const bytesMax = options.sectionBytesMax?.[role] ?? bundleLimits.sectionBytesMax[role];
  const sink = await handlers.onSection({ name, kind });
  const hash = createHash('sha256');
  let bytes = 0;
  let underWay: Promise<void> = Promise.resolve();
  try {
    let next = await nextFrame(reading);
    for (; next.type === 'chunk'; next = await nextFrame(reading)) {
      bytes += next.length;
      if (bytes > bytesMax) {
        throw new MigrateError('BUNDLE_UNSAFE', `section ${name} is larger than ${bytesMax} bytes`);
      }
      for (let missing = next.length; missing > 0; ) {
        const piece = await input.takeSome(missing);
        missing -= piece.length;
        // One write runs while the next piece is waited for and hashed.
        hash.update(piece);
        await underWay;
        underWay = sink.write(piece);
        underWay.catch(() => undefined);
      }
    }
    if (next.type !== 'section-end') throw misplaced(next);
    await underWay;
    const digest = hash.digest();
    if (next.bytes !== bytes || !digest.equals(next.sha256)) {
      throw new MigrateError('BUNDLE_CORRUPT', `section ${name} does not match its digest`);
    }
    await sink.end();
    return { name, bytes, sha256: digest.toString('hex') };
  } catch (error) {
    await underWay.catch(() => undefined);
    // What went wrong first is what the caller must hear.
    await sink.abort?.(error).catch(() => undefined);
    throw error;
  }
}

async function readMagic({ input, frames }: Reading): Promise<void> {
  // Byte by byte, so that a short file of another kind is called foreign, not truncated.
  for (const expected of magic) {
    const [byte] = await input.take(1);
    if (byte !== expected) {
      throw new MigrateError('BUNDLE_CORRUPT', 'this is not a bundle, or its start is damaged');
    }
  }
  frames.update(magic);
}

async function nextFrame({ input, frames }: Reading): Promise<Frame> {
  const prefix = await input.take(lengthBytes);
  const length = new DataView(prefix.buffer, prefix.byteOffset, lengthBytes).getUint32(0, true);
  if (length === 0 || length > bundleLimits.headerBytesMax) {
    throw new MigrateError('BUNDLE_UNSAFE', `a header claims to have ${length} bytes`);
  }
  const header = await input.take(length);
  const frame = decodeFrame(header);
  if (frame.type !== 'end') frames.update(prefix).update(header);
  return frame;
}

function assertEndMatches(
  end: FrameOf<'end'>,
  sections: readonly SectionDigest[],
  digest: Buffer,
): void {
  const listed = end.sections.map(({ name, bytes, sha256 }) => {
    return { name, bytes, sha256: Buffer.from(sha256).toString('hex') };
  });
  const same =
    listed.length === sections.length &&
    sections.every((section, index) => {
      const other = listed[index];
      return (
        other?.name === section.name &&
        other.bytes === section.bytes &&
        other.sha256 === section.sha256
      );
    });
  if (!same || !digest.equals(end.sha256)) {
    throw new MigrateError('BUNDLE_CORRUPT', 'the last frame does not match the bundle');
  }
}

function misplaced(frame: Frame): MigrateError {
  return new MigrateError('BUNDLE_UNSAFE', `a ${frame.type} frame stands in the wrong place`);
}
