import { join } from 'node:path';
import { asMigrateError, MigrateError } from '../base/errors.ts';
import {
  assertFilesMatch,
  extractTarTo,
  keepSection,
  type Manifest,
  readBundle,
  type TarSectionSink,
  treeOfSection,
  unpackDocument,
} from '../bundle/index.ts';
import { makePrivateDirectory } from '../host/files.ts';
import { type NetworkState, parseNetworkState } from '../network/l2/state.ts';
import { type L3Document, l3DocumentSchema } from '../network/l3/settings.ts';
import { parseSocketSettings, type SocketSettings } from '../network/sockets/settings.ts';

export interface ReceivedBundle {
  readonly manifest: Manifest;
  /** l2: the network state that was captured in the frozen window. */
  readonly network: NetworkState | undefined;
  /** l3: what its addresses had, and what it was granted. */
  readonly l3: L3Document | undefined;
  /** What its sockets have beyond CRIU's images. */
  readonly socketSettings: readonly SocketSettings[];
}

const networkBytesMax = 4 * 1024 * 1024;

/**
 * The images of a bundle of version 2 lie in a directory for each tree, `work`/images/0 and so on.
 * Unpacks a bundle as it arrives into `work`/images and `work`/files, both ours alone, and resolves
 * when every digest was right. Throws BUNDLE_* for its content, TRANSFER_FAILED for its source.
 */
export async function receiveBundle(
  source: AsyncIterable<Uint8Array>,
  work: string,
  expectedId?: string,
): Promise<ReceivedBundle> {
  // Opened when their section comes: a sink that never gets one would keep its directory open.
  let files: TarSectionSink | undefined;
  const network = keepSection(networkBytesMax);
  let hasNetwork = false;
  let hasTrees = false;
  const { manifest } = await readBundle(source, {
    onBegin({ id }, version) {
      hasTrees = version >= 2;
      if (expectedId === undefined || id === expectedId) return;
      throw new MigrateError('BUNDLE_UNSAFE', 'this is the bundle of another move');
    },
    async onSection({ name }) {
      const tree = treeOfSection(name);
      if (tree !== undefined) {
        const images = join(work, 'images', hasTrees ? String(tree) : '');
        await makePrivateDirectory(images);
        return extractTarTo(images);
      }
      if (name === 'files') {
        files = await extractTarTo(join(work, 'files'));
        return files;
      }
      hasNetwork = true;
      return network;
    },
  }).catch((error: unknown) => {
    throw asMigrateError(error, 'TRANSFER_FAILED');
  });
  assertFilesMatch(manifest, files?.files ?? []);
  const document = hasNetwork ? unpackDocument(network.bytes()) : undefined;
  const isL3 = manifest.job.kind === 'l3';
  return {
    manifest,
    socketSettings: parseSocketSettings(manifest.socketSettings ?? []),
    network: document === undefined || isL3 ? undefined : parseNetworkState(document),
    l3: document === undefined || !isL3 ? undefined : parseL3Document(document),
  };
}

function parseL3Document(value: unknown): L3Document {
  const parsed = l3DocumentSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue?.path.join('.') || 'it';
  throw new MigrateError(
    'BUNDLE_UNSAFE',
    `the network document of the l3 job is wrong: ${where}: ${issue?.message}`,
  );
}
