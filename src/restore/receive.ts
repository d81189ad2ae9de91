import { join } from 'node:path';
import { asMigrateError, MigrateError } from '../base/errors.ts';
import {
  assertFilesMatch,
  extractTarTo,
  keepSection,
  type Manifest,
  readBundle,
  type TarSectionSink,
  unpackDocument,
} from '../bundle/index.ts';
import { type NetworkState, parseNetworkState } from '../network/l2/state.ts';

export interface ReceivedBundle {
  readonly manifest: Manifest;
  /** l2: the network state that was captured in the frozen window. */
  readonly network: NetworkState | undefined;
}

const networkBytesMax = 4 * 1024 * 1024;

/**
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
  const { manifest } = await readBundle(source, {
    onBegin({ id }) {
      if (expectedId === undefined || id === expectedId) return;
      throw new MigrateError('BUNDLE_UNSAFE', 'this is the bundle of another move');
    },
    async onSection({ name }) {
      if (name === 'images') return extractTarTo(join(work, 'images'));
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
  return {
    manifest,
    network: hasNetwork ? parseNetworkState(unpackDocument(network.bytes())) : undefined,
  };
}
