export {
  type BundleFile,
  createBundleFile,
  readBundleFile,
  removePartialBundle,
} from './bundle-file.ts';
export { packDocument, unpackDocument } from './document.ts';
export { extractTarTo } from './extract.ts';
export { bundleLimits } from './limits.ts';
export { assertFilesMatch, assertManifest, type Manifest } from './manifest.ts';
export { assertManifestV1, type ManifestV1 } from './manifest-v1.ts';
export type { ManifestV2 } from './manifest-v2.ts';
export { type FileToPack, type PackedSection, packDirectory, packFiles } from './pack.ts';
export {
  type BundleContent,
  type BundleHandlers,
  type BundleSection,
  type ReadOptions,
  readBundle,
  type SectionSink,
} from './reader.ts';
export { discardSection, type KeptSection, keepSection } from './section-sinks.ts';
export {
  imagesSectionOf,
  type SectionDigest,
  type SectionKind,
  type SectionName,
  treeOfSection,
  treesMax,
} from './sections.ts';
export type { ByteSink } from './sink.ts';
export { listTar, type TarFile, type TarSectionSink } from './tar.ts';
export {
  type BundleBegin,
  type BundleSummary,
  type BundleWriter,
  createBundleWriter,
  type SectionWriter,
} from './writer.ts';
