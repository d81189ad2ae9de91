import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  discardSection,
  extractTarTo,
  keepSection,
  listTar,
  readBundle,
  readBundleFile,
  type TarSectionSink,
  treeOfSection,
} from '../bundle/index.ts';
import { makePrivateDirectory } from '../host/files.ts';

/** What a bundle says of itself, every digest checked; memory is read and thrown away. */
export async function showBundle(file: string): Promise<object> {
  const trees: TarSectionSink[] = [];
  const { manifest, sections, bytes, sha256 } = await readBundle(readBundleFile(file), {
    onSection({ name }) {
      const tree = treeOfSection(name);
      if (tree === undefined) return discardSection();
      const images = listTar();
      trees[tree] = images;
      return images;
    },
  });
  const [images, ...others] = trees.map(({ files }) => files);
  const more = others.length === 0 ? {} : { imagesOfOtherTrees: others };
  return { type: 'bundle', bytes, sha256, sections, manifest, images, ...more };
}

/** Reads the whole file and checks every digest. */
export async function verifyBundle(file: string): Promise<{ bytes: number; sha256: string }> {
  const { bytes, sha256 } = await readBundle(readBundleFile(file), {
    onSection: () => discardSection(),
  });
  return { bytes, sha256 };
}

/** Unpacks a bundle into a new private directory: images/, images-1/, files/, network.msgpack. */
export async function extractBundle(file: string, directory: string): Promise<void> {
  const network = keepSection(networkBytesMax);
  let hasNetwork = false;
  for (const name of ['images', 'files']) await makePrivateDirectory(join(directory, name));
  await readBundle(readBundleFile(file), {
    async onSection({ name }) {
      if (name !== 'network') {
        await makePrivateDirectory(join(directory, name));
        return extractTarTo(join(directory, name));
      }
      hasNetwork = true;
      return network;
    },
  });
  if (hasNetwork) {
    await writeFile(join(directory, 'network.msgpack'), network.bytes(), { mode: 0o600 });
  }
}

const networkBytesMax = 64 * 1024 * 1024;
