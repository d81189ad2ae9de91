import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeHeader, encodeHeader } from '../../src/bundle/header.ts';
import {
  createBundleWriter,
  discardSection,
  listTar,
  readBundle,
  type SectionName,
} from '../../src/bundle/index.ts';
import {
  begin,
  codeOf,
  forge,
  inPieces,
  readWhole,
  sampleManifest,
  smallBundle,
} from '../unit/bundle/samples.ts';

const writes = fc.array(fc.uint8Array({ maxLength: 20_000 }), { maxLength: 8 });
const names: SectionName[] = ['images', 'network', 'files'];

/** Any source: the bytes cut wherever, empty pieces too. */
async function* cutAt(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  let start = 0;
  for (const cut of cuts) {
    const end = Math.min(bytes.length, start + cut);
    yield bytes.subarray(start, end);
    start = end;
  }
  yield bytes.subarray(start);
}

describe('bundle properties', () => {
  it('whatever is written in whatever pieces is read back', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray(names),
        fc.array(writes, { minLength: 3, maxLength: 3 }),
        fc.array(fc.nat(5_000), { maxLength: 40 }),
        async (sections, payloads, cuts) => {
          const pieces: Uint8Array[] = [];
          const write = async (bytes: Uint8Array) => void pieces.push(bytes);
          const writer = createBundleWriter({ write }, begin);
          const expected = new Map<string, Buffer>();
          for (const [index, name] of sections.entries()) {
            const section = writer.section(name);
            for (const bytes of payloads[index] ?? []) await section.write(bytes);
            await section.end();
            expected.set(name, Buffer.concat(payloads[index] ?? []));
          }
          await writer.manifest(sampleManifest);
          const written = await writer.finish();
          const { content, payloads: read } = await readWhole(cutAt(Buffer.concat(pieces), cuts));
          expect(content.sha256).toBe(written.sha256);
          expect([...read.keys()]).toEqual(sections);
          for (const [name, bytes] of expected) {
            expect(bytes.equals(read.get(name) ?? Buffer.alloc(0))).toBe(true);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('a bundle with bytes changed, dropped, added or moved is never accepted', async () => {
    const bytes = await smallBundle();
    const place = fc.nat(bytes.length - 1);
    const insertion = fc.uint8Array({ minLength: 1, maxLength: 64 });
    await fc.assert(
      fc.asyncProperty(place, fc.nat(64), insertion, async (at, dropped, inserted) => {
        const hostile = Buffer.concat([
          bytes.subarray(0, at),
          inserted,
          bytes.subarray(at + dropped),
        ]);
        fc.pre(!hostile.equals(bytes));
        const reading = readBundle(inPieces(hostile), {
          onSection: ({ kind }) => (kind === 'tar' ? listTar() : discardSection()),
        });
        expect(await codeOf(reading)).toMatch(/^BUNDLE_/);
      }),
      { numRuns: 3_000 },
    );
  });

  it('wrong tar bytes behind right digests name good files or are refused', async () => {
    const { payloads } = await readWhole(inPieces(await smallBundle()));
    const tar = Buffer.from(payloads.get('images') ?? []);
    const edits = fc.array(fc.tuple(fc.nat(600), fc.nat(255)), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(edits, fc.boolean(), async (changes, repaired) => {
        const hostile = Buffer.from(tar);
        for (const [at, byte] of changes) hostile[at] = byte;
        if (repaired) {
          hostile.fill(' ', 148, 156);
          const sum = hostile.subarray(0, 512).reduce((total, byte) => total + byte, 0);
          hostile.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
        }
        const list = listTar();
        const bundle = forge([{ payload: hostile }]);
        const code = await codeOf(readBundle(inPieces(bundle, 100), { onSection: () => list }));
        expect(code).toMatch(/^(accepted|BUNDLE_UNSAFE)$/);
        for (const { name } of list.files) expect(name).toMatch(/^[A-Za-z0-9._-]{1,100}$/);
      }),
      { numRuns: 3_000 },
    );
  });

  it('any bytes are refused without a crash', async () => {
    const start = (await smallBundle()).subarray(0, 8);
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.uint8Array({ maxLength: 300 }), async (named, bytes) => {
        const hostile = named ? Buffer.concat([start, bytes]) : bytes;
        const reading = readBundle(inPieces(hostile), { onSection: () => discardSection() });
        expect(await codeOf(reading)).toMatch(/^BUNDLE_/);
      }),
      { numRuns: 2_000 },
    );
  });

  it('a header has one spelling: what decodes encodes to the same bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (bytes) => {
        let value: unknown;
        try {
          value = decodeHeader(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'BUNDLE_UNSAFE' });
          return;
        }
        const again = encodeHeader({ value });
        expect(again.subarray(-bytes.length).equals(bytes)).toBe(true);
      }),
      { numRuns: 20_000 },
    );
  });

  it('every plain value goes through a header', () => {
    const plain = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        fc.constant(null),
        fc.boolean(),
        fc.maxSafeInteger(),
        fc.double({ noNaN: true }).filter((number) => !Object.is(number, -0)),
        fc.string({ unit: 'grapheme', maxLength: 300 }),
        fc.array(tie('value'), { maxLength: 20 }),
        fc.dictionary(
          fc.string({ unit: 'grapheme' }).filter((key) => key !== '__proto__'),
          tie('value'),
          { maxKeys: 20, noNullPrototype: true },
        ),
      ),
    }));
    fc.assert(
      fc.property(plain.value, (value) => {
        expect(decodeHeader(encodeHeader({ value }).subarray(4))).toEqual({ value });
      }),
      { numRuns: 3_000 },
    );
  });
});
