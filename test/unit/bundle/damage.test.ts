import { describe, expect, it } from 'vitest';
import {
  discardSection,
  listTar,
  readBundle,
  type SectionSink,
} from '../../../src/bundle/index.ts';
import { codeOf, inPieces, smallBundle } from './samples.ts';

const discard = () => discardSection();
const parse = ({ kind }: { kind: string }): SectionSink =>
  kind === 'tar' ? listTar() : discardSection();

const slow = { timeout: 60_000 };
const bundleCodes = new Set([
  'BUNDLE_TRUNCATED',
  'BUNDLE_CORRUPT',
  'BUNDLE_UNSAFE',
  'BUNDLE_VERSION',
]);

describe('damage', () => {
  it('is seen at every point of truncation', slow, async () => {
    const bytes = await smallBundle();
    for (let length = 0; length < bytes.length; length += 1) {
      const reading = readBundle(inPieces(bytes.subarray(0, length)), { onSection: parse });
      expect(await codeOf(reading), `after ${length} bytes`).toBe('BUNDLE_TRUNCATED');
    }
  });

  it.each(['01', '80', 'ff'])('is seen in every byte, turned by 0x%s', slow, async (mask) => {
    const bytes = await smallBundle();
    const unseen: string[] = [];
    for (let offset = 0; offset < bytes.length; offset += 1) {
      const damaged = Buffer.from(bytes);
      damaged[offset] = (bytes[offset] ?? 0) ^ Number.parseInt(mask, 16);
      for (const onSection of [discard, parse]) {
        const code = await codeOf(readBundle(inPieces(damaged), { onSection }));
        if (!bundleCodes.has(code)) unseen.push(`byte ${offset}: ${code}`);
      }
    }
    expect(unseen).toEqual([]);
  });

  it('is seen when frames are repeated, dropped or exchanged', async () => {
    const bytes = await smallBundle();
    const cuts = frameOffsets(bytes);
    const frames = cuts.map((start, index) => bytes.subarray(start, cuts[index + 1]));
    const head = bytes.subarray(0, 8);
    for (let index = 0; index < frames.length; index += 1) {
      const without = frames.toSpliced(index, 1);
      const twice = frames.toSpliced(index, 0, ...frames.slice(index, index + 1));
      const exchanged = frames.toSpliced(index, 2, ...frames.slice(index, index + 2).reverse());
      for (const list of [without, twice, exchanged]) {
        if (list.length === frames.length && index === frames.length - 1) continue;
        const code = await codeOf(
          readBundle(inPieces(Buffer.concat([head, ...list])), { onSection: discard }),
        );
        expect(code, `frame ${index}`).toMatch(/^BUNDLE_/);
      }
    }
  });
});

/** Where each frame starts, the payload belonging to its chunk frame. */
function frameOffsets(bytes: Buffer): number[] {
  const offsets: number[] = [];
  for (let at = 8; at < bytes.length; ) {
    offsets.push(at);
    const header = bytes.subarray(at + 4, at + 4 + bytes.readUInt32LE(at));
    at += 4 + header.length;
    // {type: 'chunk', length} ends in a 16-bit length in this small bundle, or in a 7-bit one.
    const text = header.toString('latin1');
    if (text.includes('chunk')) {
      const value = header.subarray(text.indexOf('length') + 6);
      at += value[0] === 0xcd ? value.readUInt16BE(1) : (value[0] ?? 0);
    }
  }
  return offsets;
}
