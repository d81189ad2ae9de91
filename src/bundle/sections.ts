/**
 * The sections and what each one holds: a flat tar stream, or bytes that the bundle does not look
 * into. A new section is a new version of the format.
 */
const sectionKinds = {
  /** CRIU's image files. */
  images: 'tar',
  /** The network state captured in the frozen window, one msgpack document. */
  network: 'bytes',
  /** Files of the job that must exist on the target; tar names are the ids of the manifest. */
  files: 'tar',
} as const;

/** What a section holds, whichever tree of the job it belongs to. */
export type SectionRole = keyof typeof sectionKinds;
/** From version 2 on, `images-1`, `images-2` ... hold those of a job's further trees. */
export type SectionName = SectionRole | `images-${number}`;
export type SectionKind = (typeof sectionKinds)[SectionRole];

/** Process trees that a bundle holds at most: each costs a CRIU of its own at both ends. */
export const treesMax = 64;
/** Every role once, and images for the trees after the first. */
export const sectionsMax = Object.keys(sectionKinds).length + treesMax - 1;

const furtherImages = /^images-([1-9]\d?)$/;

/** Whether a name is one of a section in that version. */
export function isSectionName(name: string, version: number): name is SectionName {
  if (Object.hasOwn(sectionKinds, name)) return true;
  const tree = Number(furtherImages.exec(name)?.[1] ?? treesMax);
  return version >= 2 && tree < treesMax;
}

export function roleOf(name: SectionName): SectionRole {
  return name.startsWith('images') ? 'images' : (name as SectionRole);
}

export function kindOf(name: SectionName): SectionKind {
  return sectionKinds[roleOf(name)];
}

/** The section with the images of a job's tree number `tree`, from 0. */
export function imagesSectionOf(tree: number): SectionName {
  return tree === 0 ? 'images' : `images-${tree}`;
}

/** Of which tree a section has the images; undefined for other sections. */
export function treeOfSection(name: SectionName): number | undefined {
  if (roleOf(name) !== 'images') return undefined;
  return Number(furtherImages.exec(name)?.[1] ?? 0);
}

/** What a section came to: payload bytes, and their SHA-256 as 64 hex digits. */
export interface SectionDigest {
  readonly name: SectionName;
  readonly bytes: number;
  readonly sha256: string;
}
