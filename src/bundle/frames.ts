import { z } from 'zod';
import { MigrateError } from '../base/errors.ts';
import { decodeHeader, encodeHeader } from './header.ts';
import { describeIssues } from './issues.ts';
import { bundleLimits } from './limits.ts';
import { isSectionName, kindOf, type SectionName, sectionsMax } from './sections.ts';

/** The newest version that this program writes and reads. */
export const bundleVersion = 2;

/** First eight bytes of a bundle. The high bit and the line ends betray a text-mode copy. */
export const magic: Uint8Array = Uint8Array.of(0x89, 0x4d, 0x49, 0x47, 0x42, 0x0d, 0x0a, 0x1a);

const sha256 = z.instanceof(Uint8Array).refine((bytes) => bytes.length === 32, 'not 32 bytes');
const byteCount = z.int().nonnegative();
const sectionName = z.custom<SectionName>(
  (name) => typeof name === 'string' && isSectionName(name, bundleVersion),
  'not the name of a section',
);

/** 16 to 64 lower-case hex digits. */
export const bundleIdSchema = z.string().regex(/^[0-9a-f]{16,64}$/, 'not 16 to 64 hex digits');
/** ISO 8601 in UTC with milliseconds, as `Date.toISOString` writes it. */
export const instantSchema = z.iso.datetime({ precision: 3 });

const beginSchema = z.strictObject({
  type: z.literal('begin'),
  version: z.union([z.literal(1), z.literal(bundleVersion)]),
  id: bundleIdSchema,
  createdAt: instantSchema,
});
const sectionSchema = z.strictObject({
  type: z.literal('section'),
  name: sectionName,
  kind: z.enum(['tar', 'bytes']),
  encoding: z.enum(['none', 'zstd']),
});
const chunkSchema = z.strictObject({
  type: z.literal('chunk'),
  length: z.int().min(1).max(bundleLimits.chunkBytesMax),
});
const sectionEndSchema = z.strictObject({
  type: z.literal('section-end'),
  bytes: byteCount,
  sha256,
});
const manifestSchema = z.strictObject({ type: z.literal('manifest'), manifest: z.unknown() });
const endSchema = z.strictObject({
  type: z.literal('end'),
  sections: z
    .array(z.strictObject({ name: sectionName, bytes: byteCount, sha256 }))
    .max(sectionsMax),
  sha256,
});

const frameSchema = z.discriminatedUnion('type', [
  beginSchema,
  sectionSchema,
  chunkSchema,
  sectionEndSchema,
  manifestSchema,
  endSchema,
]);

export type Frame = z.infer<typeof frameSchema>;
export type FrameOf<Type extends Frame['type']> = Extract<Frame, { type: Type }>;

/** The frame's bytes, its length in front. */
export function encodeFrame(frame: Frame): Buffer {
  return encodeHeader(frame);
}

/** Throws BUNDLE_UNSAFE, or BUNDLE_VERSION for what a later version may have written. */
export function decodeFrame(bytes: Uint8Array): Frame {
  const value = decodeHeader(bytes);
  assertVersionKnown(value);
  const result = frameSchema.safeParse(value);
  if (!result.success) {
    throw new MigrateError('BUNDLE_UNSAFE', `a frame is wrong: ${describeIssues(result.error)}`);
  }
  const frame = result.data;
  if (frame.type === 'section') assertSectionKnown(frame);
  return frame;
}

/** Looked at before the schema, which a newer version need not meet. */
function assertVersionKnown(value: unknown): void {
  const begin = z.looseObject({ type: z.literal('begin'), version: z.int() }).safeParse(value);
  if (begin.success && begin.data.version > bundleVersion) {
    throw new MigrateError(
      'BUNDLE_VERSION',
      `the bundle has version ${begin.data.version}, this program reads up to ${bundleVersion}`,
      { hint: 'Use the version of migrate that wrote the bundle, or a later one.' },
    );
  }
}

function assertSectionKnown(frame: FrameOf<'section'>): void {
  if (frame.encoding !== 'none') {
    throw new MigrateError(
      'BUNDLE_VERSION',
      `section ${frame.name} is encoded with ${frame.encoding}, which version ${bundleVersion} does not know`,
    );
  }
  if (frame.kind !== kindOf(frame.name)) {
    throw new MigrateError(
      'BUNDLE_UNSAFE',
      `section ${frame.name} cannot be of kind ${frame.kind}`,
    );
  }
}
