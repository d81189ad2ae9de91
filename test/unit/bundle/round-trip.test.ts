import { readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import {
  assertFilesMatch,
  type BundleWriter,
  createBundleFile,
  createBundleWriter,
  discardSection,
  listTar,
  packDirectory,
  packFiles,
  readBundle,
  readBundleFile,
} from '../../../src/bundle/index.ts';
import {
  begin,
  codeOf,
  inPieces,
  readToDisk,
  readWhole,
  sampleManifest,
  smallBundle,
  temporaryDirectory,
} from './samples.ts';

function memoryWriter(): { writer: BundleWriter; bytes: () => Buffer } {
  const pieces: Uint8Array[] = [];
  const write = async (piece: Uint8Array) => void pieces.push(piece);
  const writer = createBundleWriter({ write }, begin);
  return { writer, bytes: () => Buffer.concat(pieces) };
}

describe('a bundle', () => {
  it('comes back as it was written', async () => {
    const bytes = await smallBundle();
    const { content, payloads } = await readWhole(inPieces(bytes, 7));
    expect(content.begin).toEqual(begin);
    expect(content.manifest).toEqual(sampleManifest);
    expect(content.bytes).toBe(bytes.length);
    expect(content.sections.map(({ name }) => name)).toEqual(['files', 'images', 'network']);
    expect(Buffer.from(payloads.get('network') ?? []).toString('hex')).toBe('81a27631c3');
  });

  it('tells the writer and the reader the same digests', async () => {
    const { writer, bytes } = memoryWriter();
    await writer.manifest(sampleManifest);
    const written = await writer.finish();
    const { content } = await readWhole(inPieces(bytes()));
    expect(content.sha256).toBe(written.sha256);
    expect(content.bytes).toBe(written.bytes);
  });

  it('extracts files that only their owner can read', async () => {
    const directories = await readToDisk(await smallBundle());
    const images = directories.get('images') ?? '';
    expect(await readdir(images)).toEqual(['core-1.img']);
    expect(await readFile(join(images, 'core-1.img'), 'utf8')).toBe('not a real image');
    expect((await stat(join(images, 'core-1.img'))).mode & 0o7777).toBe(0o600);
    expect(await readFile(join(directories.get('files') ?? '', '0'), 'utf8')).toBe('hello\n');
  });

  it('packs empty, odd-sized and many-chunk files', async () => {
    const directory = await temporaryDirectory();
    const sizes = [0, 1, 511, 512, 513, 8192, 8193, 65_536, 65_537, 1_048_576, 2_500_000];
    for (const size of sizes) {
      await writeFile(join(directory, `f${size}`), Buffer.alloc(size, size % 251));
    }
    const { writer, bytes } = memoryWriter();
    const packed = await packDirectory(writer, 'images', directory);
    await writer.manifest(sampleManifest);
    await writer.finish();
    expect(packed.files).toHaveLength(sizes.length);
    const images = (await readToDisk(bytes())).get('images') ?? '';
    for (const size of sizes) {
      const content = await readFile(join(images, `f${size}`));
      expect(content.equals(Buffer.alloc(size, size % 251))).toBe(true);
    }
  });

  it('takes the first bytes of a file that grows', async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'log'), '0123456789');
    const { writer, bytes } = memoryWriter();
    const file = { name: '0', path: join(directory, 'log'), size: 4 };
    expect((await packFiles(writer, 'files', [file])).files).toEqual([{ name: '0', size: 4 }]);
    await writer.manifest(sampleManifest);
    await writer.finish();
    const files = (await readToDisk(bytes())).get('files') ?? '';
    expect(await readFile(join(files, '0'), 'utf8')).toBe('0123');
  });

  it('goes through a file, which appears whole', async () => {
    const directory = await temporaryDirectory();
    const path = join(directory, 'web.bundle');
    const file = await createBundleFile(path);
    await file.write(await smallBundle());
    expect(await readdir(directory)).toEqual(['web.bundle.partial']);
    await file.commit();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const content = await readBundle(readBundleFile(path), { onSection: () => discardSection() });
    expect(content.manifest.job.name).toBe('web');
  });

  it('goes through a Writable under back-pressure', async () => {
    const stream = new PassThrough({ highWaterMark: 16 });
    const reading = readWhole(stream);
    const writer = createBundleWriter(stream, begin);
    const section = writer.section('network');
    for (let index = 0; index < 50; index += 1) await section.write(Buffer.alloc(20_000, index));
    await section.end();
    await writer.manifest(sampleManifest);
    await writer.finish();
    stream.end();
    expect((await reading).payloads.get('network')).toHaveLength(1_000_000);
  });

  it('hands payload out before the bundle is complete', async () => {
    const bytes = await smallBundle();
    const seen: string[] = [];
    async function* half(): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 700);
      seen.push('asked for more');
      yield bytes.subarray(700);
    }
    await readBundle(half(), {
      onSection: ({ name }) => ({
        write: async () => void seen.push(name),
        end: async () => undefined,
      }),
    });
    expect(seen.indexOf('files')).toBeLessThan(seen.indexOf('asked for more'));
  });
});

describe('writing', () => {
  it('reports a sink that fails', async () => {
    const broken = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) });
    const writer = createBundleWriter(broken, begin);
    const section = writer.section('network');
    await section.write(Buffer.alloc(100));
    expect(await codeOf(section.end())).toBe('TRANSFER_FAILED');
  });

  it.each([100, 70_000, 5_000_000])('survives a sink that fails in a file of %i', async (size) => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'a.img'), Buffer.alloc(size));
    await writeFile(join(directory, 'b.img'), Buffer.alloc(size));
    for (const failing of [1, 2, 3]) {
      let calls = 0;
      const write = async () => {
        calls += 1;
        if (calls >= failing) throw new Error('EPIPE');
      };
      const packing = packDirectory(createBundleWriter({ write }, begin), 'images', directory);
      expect(await codeOf(packing)).toMatch(/TRANSFER_FAILED|accepted/);
    }
  });

  it('refuses what is no flat directory of regular files', async () => {
    const directory = await temporaryDirectory();
    await symlink('/etc/passwd', join(directory, 'link.img'));
    expect(await codeOf(packDirectory(memoryWriter().writer, 'images', directory))).toBe(
      'DUMP_FAILED',
    );
    expect(await codeOf(packDirectory(memoryWriter().writer, 'images', '/nonexistent'))).toBe(
      'DUMP_FAILED',
    );
  });

  it('reports a file that is shorter than was said', async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'log'), '0123');
    const file = { name: '0', path: join(directory, 'log'), size: 5 };
    expect(await codeOf(packFiles(memoryWriter().writer, 'files', [file]))).toBe('DUMP_FAILED');
  });

  it('holds to the order', async () => {
    const { writer } = memoryWriter();
    expect(await codeOf(writer.finish())).toBe('INTERNAL');
    writer.section('images');
    expect(() => writer.section('network')).toThrow(/in-section/);
    expect(await codeOf(writer.manifest(sampleManifest))).toBe('INTERNAL');
  });
});

describe('the files section', () => {
  it('must hold what the manifest lists', () => {
    expect(() => assertFilesMatch(sampleManifest, [{ name: '0', size: 6 }])).not.toThrow();
    expect(() => assertFilesMatch(sampleManifest, [{ name: '0', size: 7 }])).toThrow(/size/);
    expect(() => assertFilesMatch(sampleManifest, [])).toThrow(/or none/);
    const extra = [
      { name: '0', size: 6 },
      { name: '1', size: 6 },
    ];
    expect(() => assertFilesMatch(sampleManifest, extra)).toThrow(/unlisted/);
  });

  it('can be listed without writing anything', async () => {
    const tar = listTar();
    await readBundle(inPieces(await smallBundle()), {
      onSection: ({ name }) => (name === 'files' ? tar : discardSection()),
    });
    expect(tar.files).toEqual([{ name: '0', size: 6 }]);
  });
});
