import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Header, pack } from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { magic } from '../../../src/bundle/frames.ts';
import { encodeHeader } from '../../../src/bundle/header.ts';
import {
  bundleLimits,
  discardSection,
  extractTarTo,
  keepSection,
  listTar,
  readBundle,
} from '../../../src/bundle/index.ts';
import {
  begin,
  codeOf,
  forge,
  inPieces,
  readToDisk,
  sampleManifest,
  smallBundle,
  temporaryDirectory,
  treesManifest,
} from './samples.ts';

async function tarOf(...entries: (Partial<Header> & { body?: string })[]): Promise<Buffer> {
  const archive = pack();
  for (const { body = '', ...header } of entries) {
    const plain = { name: 'a.img', mode: 0o600, mtime: new Date(0), type: 'file' as const };
    archive.entry({ ...plain, ...header }, body);
  }
  archive.finalize();
  const pieces: Uint8Array[] = [];
  for await (const piece of archive) pieces.push(piece as Uint8Array);
  return Buffer.concat(pieces);
}

/** A valid header with some bytes changed and its checksum made right again. */
function retouched(tar: Buffer, change: (header: Buffer) => void): Buffer {
  const copy = Buffer.from(tar);
  const header = copy.subarray(0, 512);
  change(header);
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return copy;
}

function raw(...parts: (Uint8Array | string)[]): Buffer {
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
}

function framed(header: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(header.length);
  return raw(length, header);
}

const readAll = (bytes: Uint8Array) =>
  codeOf(readBundle(inPieces(bytes), { onSection: () => discardSection() }));
const readTarred = (payload: Uint8Array) =>
  codeOf(readBundle(inPieces(forge([{ payload }])), { onSection: () => listTar() }));
const beginFrame = encodeHeader({ type: 'begin', version: 1, ...begin });

describe('a hostile tar section', () => {
  it('is a good one until it is touched', async () => {
    expect(await readTarred(await tarOf({ body: 'x' }, { name: 'b.img', body: 'y' }))).toBe(
      'accepted',
    );
  });

  it.each([
    '../a',
    '/etc/passwd',
    'a/b',
    './a',
    '..',
    '.',
    '',
    'a b',
    'ä',
    'a\nb',
    'x'.repeat(101),
    `${'d/'.repeat(60)}x`,
  ])('cannot name a file %j', async (name) => {
    expect(await readTarred(await tarOf({ name, body: 'x' }))).toBe('BUNDLE_UNSAFE');
  });

  it.each([
    'link',
    'symlink',
    'character-device',
    'block-device',
    'directory',
    'fifo',
    'contiguous-file',
  ] as const)('cannot hold a %s', async (type) => {
    const tar = await tarOf({ type, linkname: type.endsWith('link') ? '/etc/passwd' : '' });
    expect(await readTarred(tar)).toBe('BUNDLE_UNSAFE');
  });

  it.each([
    ['a sparse file', 'S'],
    ['a pax header', 'x'],
    ['a global pax header', 'g'],
    ['a long name', 'L'],
    ['a long link name', 'K'],
    ['a volume header', 'V'],
  ])('cannot hold %s', async (_what, flag) => {
    const tar = retouched(await tarOf({ body: 'x' }), (header) => header.write(flag, 156));
    expect(await readTarred(tar)).not.toBe('INTERNAL');
    const directories = await readToDisk(forge([{ payload: tar }])).catch(() => undefined);
    for (const path of directories?.values() ?? []) expect(await readdir(path)).toEqual([]);
  });

  it('cannot rename a file by an extension header', async () => {
    const long = retouched(await tarOf({ name: 'x', body: '../../evil\0' }), (header) => {
      header.write('L', 156);
    });
    const tar = raw(long.subarray(0, 1024), await tarOf({ body: 'x' }));
    expect(await readTarred(tar)).toBe('BUNDLE_UNSAFE');
    const pax = await tarOf({ body: 'x', pax: { path: 'b.img' } });
    expect(await readTarred(pax)).toBe('BUNDLE_UNSAFE');
    const size = await tarOf({ body: 'x', pax: { size: '99999999999999999999' } });
    expect(await readTarred(size)).toBe('BUNDLE_UNSAFE');
  });

  it('cannot hold a name twice, a mode, an owner or a time', async () => {
    expect(await readTarred(await tarOf({}, {}))).toBe('BUNDLE_UNSAFE');
    expect(await readTarred(await tarOf({ mode: 0o4755 }))).toBe('BUNDLE_UNSAFE');
    expect(await readTarred(await tarOf({ uid: 1000 }))).toBe('BUNDLE_UNSAFE');
    expect(await readTarred(await tarOf({ mtime: new Date(1000) }))).toBe('BUNDLE_UNSAFE');
  });

  it.each([
    '00000007777 ',
    '77777777777 ',
    '-0000000001 ',
    '99999999999 ',
    '\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff',
    '\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff',
  ])('cannot lie about its length: %j', async (length) => {
    const tar = retouched(await tarOf({ body: 'x'.repeat(400) }), (header) => {
      header.write(length, 124, 'latin1');
    });
    expect(await readTarred(tar)).toBe('BUNDLE_UNSAFE');
  });

  it('is refused when it ends inside a file, or is no tar at all', async () => {
    const tar = await tarOf({ body: 'x'.repeat(2000) });
    expect(await readTarred(tar.subarray(0, 1000))).toBe('BUNDLE_UNSAFE');
    expect(await readTarred(Buffer.alloc(5000, 0x41))).toBe('BUNDLE_UNSAFE');
  });

  it('writes into a directory of ours alone, and never over or through a file', async () => {
    const directory = await temporaryDirectory();
    const open = join(directory, 'open');
    await mkdir(open, { mode: 0o755 });
    expect(await codeOf(extractTarTo(open))).toBe('TRANSFER_FAILED');
    await symlink(open, join(directory, 'way'));
    expect(await codeOf(extractTarTo(join(directory, 'way')))).toBe('TRANSFER_FAILED');
    const mine = join(directory, 'mine');
    await mkdir(mine, { mode: 0o700 });
    await symlink(join(directory, 'victim'), join(mine, 'a.img'));
    const bytes = forge([{ payload: await tarOf({ body: 'x' }) }]);
    const reading = readBundle(inPieces(bytes), { onSection: () => extractTarTo(mine) });
    expect(await codeOf(reading)).toBe('TRANSFER_FAILED');
    expect(await readdir(directory)).not.toContain('victim');
  });
});

describe('a hostile frame', () => {
  it('cannot claim a gigantic header', async () => {
    for (const length of [0, bundleLimits.headerBytesMax + 1, 0xffff_ffff]) {
      const prefix = Buffer.alloc(4);
      prefix.writeUInt32LE(length);
      expect(await readAll(raw(magic, prefix, Buffer.alloc(100)))).toBe('BUNDLE_UNSAFE');
    }
  });

  it.each([
    ['deep arrays', Buffer.alloc(100_000, 0x91)],
    ['deep maps', Buffer.concat(Array(50_000).fill(Buffer.from('81a161', 'hex')))],
    ['a record definition', Buffer.from('d4724093a161a162a163010203', 'hex')],
    ['a record definition of two bytes', Buffer.from('d572400193a161a162a163010203', 'hex')],
    ['an extension', Buffer.from('c70501aabbccddee', 'hex')],
    ['a timestamp', Buffer.from('d6ff00000000', 'hex')],
    ['undefined', Buffer.from('d40000', 'hex')],
    ['the unused type', Buffer.from('c1', 'hex')],
    ['an array that claims too much', Buffer.from('ddffffffff', 'hex')],
    ['a map that claims too much', Buffer.from('dfffffffff', 'hex')],
    ['a string that claims too much', Buffer.from('dbffffffff', 'hex')],
    ['a binary that claims too much', Buffer.from('c6ffffffff', 'hex')],
    ['bytes behind its value', Buffer.from('8080', 'hex')],
    ['a key twice', Buffer.from('82a16101a16102', 'hex')],
    ['__proto__', Buffer.from('81a95f5f70726f746f5f5f80', 'hex')],
    ['a number for a key', Buffer.from('810101', 'hex')],
    ['bad UTF-8', Buffer.from('81a161a2c328', 'hex')],
    ['a longer form of a number', Buffer.from('81a161cd0001', 'hex')],
    ['a longer form of a string', Buffer.from('81d9016101', 'hex')],
    ['a longer form of a map', Buffer.from('de0001a16101', 'hex')],
    ['a number that is none', Buffer.from('81a161cb7ff8000000000000', 'hex')],
    ['a 64-bit integer', Buffer.from('81a161cf0000000000000001', 'hex')],
    ['an unknown type', Buffer.from('81a474797065a178', 'hex')],
    ['no map', Buffer.from('01', 'hex')],
  ])('cannot hold %s', async (_what, header) => {
    expect(await readAll(raw(magic, framed(header)))).toBe('BUNDLE_UNSAFE');
  });

  it('cannot hold an unknown key', async () => {
    expect(await readAll(forge([], sampleManifest, { extra: 1 }))).toBe('BUNDLE_UNSAFE');
    const header = { extra: 1 };
    expect(await readAll(forge([{ header, payload: raw('x') }]))).toBe('BUNDLE_UNSAFE');
  });

  it('cannot open a section that the version does not have, or one twice', async () => {
    const payload = raw('x');
    const unknown = forge([{ header: { name: 'secrets' }, payload }]);
    expect(await readAll(unknown)).toBe('BUNDLE_UNSAFE');
    expect(await readAll(forge([{ header: { kind: 'bytes' }, payload }]))).toBe('BUNDLE_UNSAFE');
    expect(await readAll(forge([{ payload }, { payload }]))).toBe('BUNDLE_UNSAFE');
    expect(await readAll(forge([{ payload }]))).toBe('accepted');
  });

  it('cannot hold an empty or an oversized chunk', async () => {
    const section = encodeHeader({
      type: 'section',
      name: 'images',
      kind: 'tar',
      encoding: 'none',
    });
    for (const length of [0, -1, 1.5, bundleLimits.chunkBytesMax + 1, 2 ** 60]) {
      const chunk = encodeHeader({ type: 'chunk', length });
      expect(await readAll(raw(magic, beginFrame, section, chunk))).toBe('BUNDLE_UNSAFE');
    }
  });

  it('says when a newer program wrote the bundle', async () => {
    const newer = { version: 3, features: ['parents'] };
    expect(await readAll(forge([], sampleManifest, newer))).toBe('BUNDLE_VERSION');
    const manifest = { format: { version: 3 }, anything: true };
    expect(await readAll(forge([], manifest))).toBe('BUNDLE_VERSION');
    const packed = { header: { encoding: 'zstd' }, payload: raw('x') };
    expect(await readAll(forge([packed]))).toBe('BUNDLE_VERSION');
  });

  it('has no section of a version that it is not, and no manifest of another', async () => {
    const trees = { header: { name: 'images-1' }, payload: Buffer.alloc(1024) };
    expect(await readAll(forge([trees]))).toBe('BUNDLE_UNSAFE');
    const two = { version: 2 };
    expect(await readAll(forge([trees], treesManifest, two))).toBe('accepted');
    for (const name of ['images-0', 'images-64', 'images-01', 'images-', 'files-1']) {
      const other = { header: { name }, payload: Buffer.alloc(1024) };
      expect(await readAll(forge([other], treesManifest, two))).toBe('BUNDLE_UNSAFE');
    }
    expect(await readAll(forge([], treesManifest))).toBe('BUNDLE_UNSAFE');
    expect(await readAll(forge([], sampleManifest, two))).toBe('BUNDLE_UNSAFE');
  });

  it('cannot be followed by anything, not even by another bundle', async () => {
    const bytes = await smallBundle();
    expect(await readAll(raw(bytes, 'x'))).toBe('BUNDLE_UNSAFE');
    expect(await readAll(raw(bytes, bytes))).toBe('BUNDLE_UNSAFE');
  });

  it('of another bundle is not taken', async () => {
    const other = { ...sampleManifest, id: 'ffffffffffffffff' };
    expect(await readAll(forge([], other))).toBe('BUNDLE_UNSAFE');
  });

  it('is no frame in a file of another kind', async () => {
    expect(await readAll(raw('hi'))).toBe('BUNDLE_CORRUPT');
    expect(await readAll(raw(Buffer.from('1f8b08', 'hex')))).toBe('BUNDLE_CORRUPT');
    expect(await readAll(raw(''))).toBe('BUNDLE_TRUNCATED');
  });
});

describe('the reader', () => {
  it('keeps to the limits of its caller', async () => {
    const bytes = forge([
      { header: { name: 'network', kind: 'bytes' }, payload: Buffer.alloc(5000) },
    ]);
    const reading = readBundle(
      inPieces(bytes),
      { onSection: () => discardSection() },
      { sectionBytesMax: { network: 4999 } },
    );
    expect(await codeOf(reading)).toBe('BUNDLE_UNSAFE');
    const keeping = readBundle(inPieces(bytes), { onSection: () => keepSection(4999) });
    expect(await codeOf(keeping)).toBe('BUNDLE_UNSAFE');
  });

  it('lets a handler refuse, tells the open sink and closes the source', async () => {
    const events: string[] = [];
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        yield* inPieces(await smallBundle(), 100);
      } finally {
        events.push('closed');
      }
    }
    const sink = {
      write: async () => {
        throw new Error('disk');
      },
      end: async () => undefined,
      abort: async () => void events.push('aborted'),
    };
    await expect(readBundle(source(), { onSection: () => sink })).rejects.toThrow('disk');
    expect(events).toEqual(['aborted', 'closed']);
    const onBegin = () => {
      throw new Error('an old epoch');
    };
    const refused = readBundle(source(), { onBegin, onSection: () => discardSection() });
    await expect(refused).rejects.toThrow('an old epoch');
  });

  it('reports a source that fails', async () => {
    async function* source(): AsyncGenerator<Uint8Array> {
      yield (await smallBundle()).subarray(0, 300);
      throw new Error('ECONNRESET');
    }
    const reading = readBundle(source(), { onSection: () => discardSection() });
    expect(await codeOf(reading)).toBe('TRANSFER_FAILED');
  });

  it('leaves a file alone that was there before', async () => {
    const directory = await temporaryDirectory();
    const mine = join(directory, 'mine');
    await mkdir(mine, { mode: 0o700 });
    await writeFile(join(mine, 'a.img'), 'old');
    const bytes = forge([{ payload: await tarOf({ body: 'new' }) }]);
    const reading = readBundle(inPieces(bytes), { onSection: () => extractTarTo(mine) });
    expect(await codeOf(reading)).toBe('TRANSFER_FAILED');
    expect(await readFile(join(mine, 'a.img'), 'utf8')).toBe('old');
  });
});
