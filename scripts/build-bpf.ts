import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import { execaSync } from 'execa';

/**
 * Compiles src/network/l3/bindfilter/bindfilter.bpf.c; the same compiler gives the same bytes.
 * Only who changes the C source needs it, and CI, which compares: clang-14, llvm-14 and
 * linux-libc-dev.
 */
export function compileBindFilter(): Buffer {
  const dir = mkdtempSync(join(tmpdir(), 'bind-filter-'));
  try {
    const out = join(dir, 'bindfilter.o');
    const source = new URL('../src/network/l3/bindfilter/bindfilter.bpf.c', import.meta.url)
      .pathname;
    // The kernel's headers refer to <asm/types.h>, which Debian keeps in a directory per triplet.
    const triplet = execaSync('gcc', ['-print-multiarch']).stdout;
    execaSync(compiler, [
      ...flags,
      '-idirafter',
      `/usr/include/${triplet}`,
      '-c',
      source,
      '-o',
      out,
    ]);
    execaSync(stripper, ['--strip-unneeded', out]);
    return readFileSync(out);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

export const compiler = 'clang-14';
const stripper = 'llvm-strip-14';
const flags = ['-target', 'bpfel', '-O2', '-g0', '-Wall', '-Wextra', '-Werror'];

function main(): void {
  const bytes = compileBindFilter();
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const base64 = (
    brotliCompressSync(bytes)
      .toString('base64')
      .match(/.{1,90}/g) ?? []
  )
    .map((line) => `  '${line}',`)
    .join('\n');
  const target = new URL('../src/network/l3/bindfilter-object.ts', import.meta.url).pathname;
  writeFileSync(
    target,
    `import { brotliDecompressSync } from 'node:zlib';

/** bindfilter.bpf.c compiled by scripts/build-bpf.ts; test/system/l3-object.test.ts compares. */
export function bindFilterObject(): Buffer {
  return brotliDecompressSync(Buffer.from(compressed, 'base64'));
}

export const bindFilterSha256 = '${sha256}';

const compressed = [
${base64}
].join('');
`,
  );
}

if (process.argv[1] === new URL(import.meta.url).pathname) main();
