import { z } from 'zod';
import { MigrateError } from '../base/errors.ts';
import { bundleVersion } from './frames.ts';
import { assertManifestV1, type ManifestV1 } from './manifest-v1.ts';
import { assertManifestV2, type ManifestV2 } from './manifest-v2.ts';

/** A manifest of any version that this program writes: the lowest that can say what is in it. */
export type Manifest = ManifestV1 | ManifestV2;

/**
 * A manifest of any version that this program reads. Throws BUNDLE_VERSION for a newer one, and
 * BUNDLE_UNSAFE with every bad path.
 */
export function assertManifest(value: unknown): Manifest {
  const head = headSchema.safeParse(value);
  const version = head.success ? head.data.format.version : 1;
  if (version > bundleVersion) {
    throw new MigrateError(
      'BUNDLE_VERSION',
      `the manifest has version ${version}, this program reads up to ${bundleVersion}`,
    );
  }
  return version === 2 ? assertManifestV2(value) : assertManifestV1(value);
}

/**
 * Throws BUNDLE_UNSAFE unless the `files` section held exactly the files of the manifest, each with
 * its size. `extracted` is what `extractTarTo` or `listTar` found there.
 */
export function assertFilesMatch(
  manifest: Manifest,
  extracted: readonly { readonly name: string; readonly size: number }[],
): void {
  const sizes = new Map(extracted.map(({ name, size }) => [name, size]));
  const wrong = manifest.files.find(({ id, size }) => sizes.get(String(id)) !== size);
  if (wrong !== undefined || sizes.size !== manifest.files.length) {
    const what =
      wrong === undefined ? 'an unlisted file' : `another size of ${wrong.path}, or none`;
    throw new MigrateError('BUNDLE_UNSAFE', `the files section holds ${what}`);
  }
}

const headSchema = z.looseObject({ format: z.looseObject({ version: z.int() }) });
