import { createHash, type Hash } from 'node:crypto';
import type { Writable } from 'node:stream';
import { assert } from '../base/assert.ts';
import { MigrateError } from '../base/errors.ts';
import { encodeFrame, type Frame, magic } from './frames.ts';
import { bundleLimits } from './limits.ts';
import { assertManifest, type Manifest } from './manifest.ts';
import { isSectionName, kindOf, roleOf, type SectionDigest, type SectionName } from './sections.ts';
import { type ByteSink, createOutput, type Output } from './sink.ts';

/** What a bundle says before anything else; the manifest repeats both. */
export interface BundleBegin {
  /** The id of the migration, 16 to 64 lower-case hex digits. */
  readonly id: string;
  /** ISO 8601, UTC, milliseconds. */
  readonly createdAt: string;
}

/** What a whole bundle came to; `sha256` is the digest in its last frame. */
export interface BundleSummary {
  /** Bytes from the magic to the end of the last frame. */
  readonly bytes: number;
  readonly sha256: string;
  readonly sections: readonly SectionDigest[];
}

export interface SectionWriter {
  /**
   * Adds payload of any length. Large pieces are cut into chunks and never copied, small ones are
   * gathered into one chunk. Resolves when there is room for more. The bytes must not change
   * afterwards.
   */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends the section and pushes it out to the sink. */
  end(): Promise<SectionDigest>;
}

/**
 * Writes one bundle: sections in any order, each at most once and one at a time, then the manifest,
 * then `finish`. Calls out of that order are errors of ours: INTERNAL.
 */
export interface BundleWriter {
  section(name: SectionName): SectionWriter;
  /** Throws BUNDLE_UNSAFE with every bad path, so what a reader would refuse is never sent. */
  manifest(manifest: Manifest): Promise<void>;
  /** Resolves when the sink has everything. The sink stays open: whoever opened it closes it. */
  finish(): Promise<BundleSummary>;
}

/**
 * Nothing is written before the first section ends or sends its first large chunk. `version` is the
 * lowest that has what the bundle will hold: 2 for several trees.
 */
export function createBundleWriter(
  target: Writable | ByteSink,
  begin: BundleBegin,
  version: 1 | 2 = 1,
): BundleWriter {
  const output = createOutput(target);
  const frames = createHash('sha256');
  const sections: SectionDigest[] = [];
  let state: 'between' | 'in-section' | 'manifest-written' | 'finished' = 'between';
  const put = (frame: Frame) => putFrame(output, frames, frame);
  const begun = putMagic(output, frames).then(() =>
    put({ type: 'begin', version, id: begin.id, createdAt: begin.createdAt }),
  );
  begun.catch(() => undefined);

  return {
    section(name) {
      assert(state === 'between', `a section cannot start when the bundle is ${state}`);
      assert(isSectionName(name, version), `version ${version} has no section ${name}`);
      assert(!sections.some((section) => section.name === name), `section ${name} was written`);
      state = 'in-section';
      const opened = begun.then(() =>
        put({ type: 'section', name, kind: kindOf(name), encoding: 'none' }),
      );
      opened.catch(() => undefined);
      return createSectionWriter(name, opened, output, put, (digest) => {
        sections.push(digest);
        state = 'between';
      });
    },
    async manifest(manifest) {
      assert(state === 'between', `the manifest cannot come when the bundle is ${state}`);
      const checked = assertManifest(manifest);
      assert(checked.id === begin.id, 'the manifest has another id than the bundle');
      assert(checked.format.version === version, 'the manifest has another version');
      assert(checked.createdAt === begin.createdAt, 'the manifest has another time');
      state = 'manifest-written';
      await begun;
      await put({ type: 'manifest', manifest: checked });
    },
    async finish() {
      assert(state === 'manifest-written', `the bundle cannot end when it is ${state}`);
      state = 'finished';
      const digest = frames.digest();
      const listed = sections.map(({ name, bytes, sha256 }) => {
        return { name, bytes, sha256: Buffer.from(sha256, 'hex') };
      });
      await output.add(encodeFrame({ type: 'end', sections: listed, sha256: digest }));
      await output.flush();
      return { bytes: output.bytes, sha256: digest.toString('hex'), sections };
    },
  };
}

function createSectionWriter(
  name: SectionName,
  opened: Promise<void>,
  output: Output,
  put: (frame: Frame) => Promise<void>,
  onEnd: (digest: SectionDigest) => void,
): SectionWriter {
  const hash = createHash('sha256');
  let gathered: Uint8Array[] = [];
  let gatheredBytes = 0;
  let bytes = 0;
  let ended = false;

  async function putChunk(chunk: Uint8Array): Promise<void> {
    hash.update(chunk);
    await put({ type: 'chunk', length: chunk.length });
    await output.add(chunk);
  }
  async function putGathered(): Promise<void> {
    if (gatheredBytes === 0) return;
    const chunk = Buffer.concat(gathered, gatheredBytes);
    gathered = [];
    gatheredBytes = 0;
    await putChunk(chunk);
  }
  return {
    async write(payload) {
      assert(!ended, `section ${name} has ended`);
      await opened;
      bytes += payload.length;
      assertSectionFits(name, bytes);
      if (payload.length <= bundleLimits.gatheredPayloadBytesMax) {
        gathered.push(payload);
        gatheredBytes += payload.length;
        if (gatheredBytes > bundleLimits.gatheredBytesMax) await putGathered();
        return;
      }
      await putGathered();
      for (let start = 0; start < payload.length; start += bundleLimits.chunkBytesMax) {
        await putChunk(payload.subarray(start, start + bundleLimits.chunkBytesMax));
      }
    },
    async end() {
      assert(!ended, `section ${name} has ended`);
      ended = true;
      await opened;
      await putGathered();
      const digest = hash.digest();
      await put({ type: 'section-end', bytes, sha256: digest });
      await output.flush();
      const section = { name, bytes, sha256: digest.toString('hex') };
      onEnd(section);
      return section;
    },
  };
}

async function putMagic(output: Output, frames: Hash): Promise<void> {
  frames.update(magic);
  await output.add(magic);
}

/** Every byte that is not payload goes into the digest of the last frame. */
async function putFrame(output: Output, frames: Hash, frame: Frame): Promise<void> {
  const encoded = encodeFrame(frame);
  frames.update(encoded);
  await output.add(encoded);
}

function assertSectionFits(name: SectionName, bytes: number): void {
  if (bytes > bundleLimits.sectionBytesMax[roleOf(name)]) {
    throw new MigrateError('BUNDLE_UNSAFE', `section ${name} grew larger than the format allows`);
  }
}
