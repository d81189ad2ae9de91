import { z } from 'zod';
import { MigrateError } from '../base/errors.ts';
import { assertManifestV1, type ManifestV1 } from './manifest-v1.ts';

/** The newest manifest. Older ones become this one when they are read. */
export type Manifest = ManifestV1;

/**
 * A manifest of any version that this program reads, as the newest one. Throws BUNDLE_VERSION for a
 * newer one, and BUNDLE_UNSAFE with every bad path.
 */
export function assertManifestLatest(value: unknown): Manifest {
  const head = headSchema.safeParse(value);
  if (head.success && head.data.format.version > 1) {
    throw new MigrateError(
      'BUNDLE_VERSION',
      `the manifest has version ${head.data.format.version}, this program reads up to 1`,
    );
  }
  return assertManifestV1(value);
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
