import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  discardSection,
  extractTarTo,
  keepSection,
  listTar,
  readBundle,
  readBundleFile,
} from '../bundle/index.ts';
import { makePrivateDirectory } from '../host/files.ts';

/** What a bundle says of itself, every digest checked; memory is read and thrown away. */
export async function showBundle(file: string): Promise<object> {
  const images = listTar();
  const { manifest, sections, bytes, sha256 } = await readBundle(readBundleFile(file), {
    onSection: ({ name }) => (name === 'images' ? images : discardSection()),
  });
  return { type: 'bundle', bytes, sha256, sections, manifest, images: images.files };
}

/** Reads the whole file and checks every digest. */
export async function verifyBundle(file: string): Promise<{ bytes: number; sha256: string }> {
  const { bytes, sha256 } = await readBundle(readBundleFile(file), {
    onSection: () => discardSection(),
  });
  return { bytes, sha256 };
}

/** Unpacks a bundle into a new private directory: images/, files/, network.msgpack. */
export async function extractBundle(file: string, directory: string): Promise<void> {
  const network = keepSection(networkBytesMax);
  let hasNetwork = false;
  for (const name of ['images', 'files']) await makePrivateDirectory(join(directory, name));
  await readBundle(readBundleFile(file), {
    onSection({ name }) {
      if (name !== 'network') return extractTarTo(join(directory, name));
      hasNetwork = true;
      return network;
    },
  });
  if (hasNetwork) {
    await writeFile(join(directory, 'network.msgpack'), network.bytes(), { mode: 0o600 });
  }
}

const networkBytesMax = 64 * 1024 * 1024;
