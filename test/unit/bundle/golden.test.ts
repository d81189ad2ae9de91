import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import {
  begin,
  inPieces,
  readToDisk,
  readWhole,
  sampleManifest,
  smallBundle,
  treesBundle,
  treesManifest,
} from './samples.ts';

const goldenUrl = new URL('../../golden/v1/small.bundle', import.meta.url);
const treesUrl = new URL('../../golden/v2/trees.bundle', import.meta.url);
const documentUrl = new URL('../../../docs/bundle-format.md', import.meta.url);

describe('the golden bundle of version 1', () => {
  it('opens, for ever', async () => {
    const { content, payloads } = await readWhole(inPieces(await readFile(goldenUrl)));
    expect(content.begin).toEqual(begin);
    expect(content.manifest).toEqual(sampleManifest);
    expect([...payloads.keys()]).toEqual(['files', 'images', 'network']);
    const directories = await readToDisk(await readFile(goldenUrl));
    const image = `${directories.get('images')}/core-1.img`;
    expect(await readFile(image, 'utf8')).toBe('not a real image');
  });

  it('is what this program still writes', async () => {
    const golden = await readFile(goldenUrl);
    expect(golden.equals(await smallBundle())).toBe(true);
  });

  it('stands in the document byte for byte', async () => {
    const document = await readFile(documentUrl, 'utf8');
    const dump = /```hexdump\n(?<dump>[\s\S]*?\n)```/.exec(document)?.groups?.dump;
    expect(dump).toBe(hexDump(await readFile(goldenUrl)));
  });
});

describe('the golden bundle of version 2', () => {
  it('opens, for ever', async () => {
    const { content, payloads } = await readWhole(inPieces(await readFile(treesUrl)));
    expect(content.manifest).toEqual(treesManifest);
    expect([...payloads.keys()]).toEqual(['images', 'images-1', 'network']);
    const directories = await readToDisk(await readFile(treesUrl));
    for (const [name, text] of [
      ['images', 'first tree'],
      ['images-1', 'second tree'],
    ] as const) {
      expect(await readFile(`${directories.get(name)}/core-1.img`, 'utf8')).toBe(text);
    }
  });

  it('is what this program still writes', async () => {
    expect((await readFile(treesUrl)).equals(await treesBundle())).toBe(true);
  });
});

/** As `hexdump -C`: a run of equal lines is one line and a star. */
function hexDump(bytes: Uint8Array): string {
  const lines: string[] = [];
  let before = '';
  for (let offset = 0; offset < bytes.length; offset += 16) {
    const row = Buffer.from(bytes.subarray(offset, offset + 16));
    const hex = (row.toString('hex').match(/../g) ?? []).map((byte) => ` ${byte}`);
    const content = `${hex.slice(0, 8).join('').padEnd(25)}${hex.slice(8).join('').padEnd(25)}`;
    const text = row.toString('latin1').replace(/[^ -~]/g, '.');
    const line = ` ${content} |${text}|`;
    if (line !== before) lines.push(offset.toString(16).padStart(8, '0') + line);
    else if (lines.at(-1) !== '*') lines.push('*');
    before = line;
  }
  lines.push(bytes.length.toString(16).padStart(8, '0'));
  return `${lines.join('\n')}\n`;
}
