/**
 * The sections of version 1 and what each one holds: a flat tar stream, or bytes that the bundle
 * does not look into. A new section is a new version of the format.
 */
export const sectionKinds = {
  /** CRIU's image files. */
  images: 'tar',
  /** The network state captured in the frozen window, one msgpack document. */
  network: 'bytes',
  /** Files of the job that must exist on the target; tar names are the ids of the manifest. */
  files: 'tar',
} as const;

export type SectionName = keyof typeof sectionKinds;
export type SectionKind = (typeof sectionKinds)[SectionName];

export const sectionNames = Object.keys(sectionKinds) as readonly SectionName[];

/** What a section came to: payload bytes, and their SHA-256 as 64 hex digits. */
export interface SectionDigest {
  readonly name: SectionName;
  readonly bytes: number;
  readonly sha256: string;
}
