import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { magic } from '../../../src/bundle/frames.ts';
import { encodeHeader } from '../../../src/bundle/header.ts';
import {
  type BundleContent,
  createBundleWriter,
  extractTarTo,
  imagesSectionOf,
  keepSection,
  type ManifestV1,
  type ManifestV2,
  packFiles,
  readBundle,
} from '../../../src/bundle/index.ts';

export const begin = {
  id: '00112233445566778899aabbccddeeff',
  createdAt: '2026-11-23T12:00:00.000Z',
} as const;

export const sampleManifest: ManifestV1 = {
  format: { version: 1 },
  ...begin,
  epoch: 3,
  source: {
    host: 'a',
    kernel: '6.12.0',
    arch: 'x86_64',
    criuVersion: '4.2.1',
    nodeVersion: 'v20.20.2',
    migrateVersion: '0.1.0',
  },
  job: {
    name: 'web',
    kind: 'l3',
    ip: ['10.77.1.1/16', 'fd77::1/64'],
    command: ['python3', '-m', 'http.server'],
    createdAt: '2026-11-23T11:00:00.000Z',
    hostname: 'web',
    cgroupName: 'web',
    initPid: 1,
    memoryBytes: 17_825_792,
  },
  processes: [{ pid: 1, name: 'python3', uid: 1000, capsEffective: '0000000000000000' }],
  sockets: { listening: 1, established: 4, udp: 0, closed: 0 },
  externals: [{ key: 'net[4026531840]', kind: 'net', value: 'host' }],
  files: [{ id: 0, path: '/var/log/web.log', mode: 0o644, uid: 1000, gid: 1000, size: 6 }],
  checkpoint: { criuOptions: ['tcp-established'] },
};

export async function temporaryDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'migrate-bundle-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** The bundle of the golden file: one image, a network document, one file of the job. */
export async function smallBundle(): Promise<Buffer> {
  const directory = await temporaryDirectory();
  await writeFile(join(directory, 'image'), 'not a real image');
  await writeFile(join(directory, 'log'), 'hello\n');
  const pieces: Uint8Array[] = [];
  const writer = createBundleWriter(
    { write: async (bytes: Uint8Array) => void pieces.push(bytes) },
    begin,
  );
  await packFiles(writer, 'files', [{ name: '0', path: join(directory, 'log') }]);
  await packFiles(writer, 'images', [{ name: 'core-1.img', path: join(directory, 'image') }]);
  const network = writer.section('network');
  await network.write(Uint8Array.of(0x81, 0xa2, 0x76, 0x31, 0xc3));
  await network.end();
  await writer.manifest(sampleManifest);
  await writer.finish();
  return Buffer.concat(pieces);
}

export const treesManifest: ManifestV2 = {
  ...sampleManifest,
  format: { version: 2 },
  job: {
    name: 'netns:web',
    kind: 'l2',
    ip: ['10.77.1.1/16'],
    command: ['ip', 'netns', 'exec', 'web'],
    createdAt: '2026-11-23T11:00:00.000Z',
    hostname: 'a',
    cgroupName: 'netns:web',
    initPid: 1,
    memoryBytes: 17_825_792,
    bridge: 'br0',
    trees: [
      { pid: 4711, group: 0, pids: [4711, 4712] },
      { pid: 20, group: 1, pids: [20] },
    ],
  },
  files: [],
};

/** The bundle of the second golden file: images of two process trees and a network document. */
export async function treesBundle(): Promise<Buffer> {
  const directory = await temporaryDirectory();
  const pieces: Uint8Array[] = [];
  const sink = { write: async (bytes: Uint8Array) => void pieces.push(bytes) };
  const writer = createBundleWriter(sink, begin, 2);
  for (const [tree, text] of ['first', 'second'].entries()) {
    const path = join(directory, text);
    await writeFile(path, `${text} tree`);
    await packFiles(writer, imagesSectionOf(tree), [{ name: 'core-1.img', path }]);
  }
  const network = writer.section('network');
  await network.write(Uint8Array.of(0x81, 0xa2, 0x76, 0x31, 0xc3));
  await network.end();
  await writer.manifest(treesManifest);
  await writer.finish();
  return Buffer.concat(pieces);
}

export async function* inPieces(bytes: Uint8Array, size = 64 * 1024): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size)
    yield bytes.subarray(start, start + size);
}

/** Reads and keeps every payload whole, as it is. */
export async function readWhole(
  source: AsyncIterable<Uint8Array>,
): Promise<{ content: BundleContent; payloads: Map<string, Uint8Array> }> {
  const kept = new Map<string, ReturnType<typeof keepSection>>();
  const content = await readBundle(source, {
    onSection({ name }) {
      const sink = keepSection(16 * 1024 * 1024);
      kept.set(name, sink);
      return sink;
    },
  });
  return { content, payloads: new Map([...kept].map(([name, sink]) => [name, sink.bytes()])) };
}

/** Reads a bundle with its tar sections going to disk; returns the directory of each. */
export async function readToDisk(bytes: Uint8Array): Promise<Map<string, string>> {
  const base = await temporaryDirectory();
  const directories = new Map<string, string>();
  await readBundle(inPieces(bytes), {
    async onSection({ name, kind }) {
      if (kind === 'bytes') return keepSection(1024);
      const directory = join(base, name);
      await mkdir(directory, { mode: 0o700 });
      directories.set(name, directory);
      return extractTarTo(directory);
    },
  });
  return directories;
}

export interface ForgedSection {
  readonly header?: Record<string, unknown>;
  readonly payload: Uint8Array;
}

/** A bundle whose digests are all right, whatever stands in it. */
export function forge(
  sections: readonly ForgedSection[],
  manifest: unknown = sampleManifest,
  beginFields: Record<string, unknown> = {},
): Buffer {
  const parts: Uint8Array[] = [magic];
  const frames = createHash('sha256').update(magic);
  const put = (value: Record<string, unknown>) => {
    const bytes = encodeHeader(value);
    frames.update(bytes);
    parts.push(bytes);
  };
  put({ type: 'begin', version: 1, ...begin, ...beginFields });
  const listed = sections.map(({ header = {}, payload }) => {
    const section = { name: 'images', kind: 'tar', encoding: 'none', ...header };
    put({ type: 'section', ...section });
    put({ type: 'chunk', length: payload.length });
    parts.push(payload);
    const sha256 = createHash('sha256').update(payload).digest();
    put({ type: 'section-end', bytes: payload.length, sha256 });
    return { name: section.name, bytes: payload.length, sha256 };
  });
  put({ type: 'manifest', manifest });
  parts.push(encodeHeader({ type: 'end', sections: listed, sha256: frames.digest() }));
  return Buffer.concat(parts);
}

export async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'accepted',
    (error: unknown) => {
      const code = (error as { code?: unknown }).code;
      return typeof code === 'string' ? code : `not ours: ${String(error)}`;
    },
  );
}
