import { chmodSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import { nativeInside } from './native-inside.ts';

const top = join(import.meta.dirname, '..');

/** Makes the one file that is `migrate`, on this host and as the agent on the other one. */
export async function bundle(outfile: string, entry = join(top, 'cli', 'main.ts')): Promise<void> {
  mkdirSync(dirname(outfile), { recursive: true });
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    // CommonJS starts faster than a module and keeps `await import()` lazy inside one file.
    format: 'cjs',
    banner: { js: '#!/usr/bin/env node' },
    // ssh2 works without these two; they only make it a little faster.
    external: ['cpu-features'],
    loader: { '.node': 'empty' },
    plugins: [nativeInside()],
    // Sources ask `typeof require` before they ask import.meta, which a bundle does not have.
    logOverride: { 'empty-import-meta': 'silent' },
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    logLevel: 'warning',
  });
  chmodSync(outfile, 0o755);
}

if (process.argv[1] === import.meta.filename) {
  await bundle(process.argv[2] ?? join(top, 'dist', 'migrate.cjs'));
}
