import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Plugin } from 'esbuild';

/**
 * Puts koffi's machine code into the bundle, as text. A library can only be loaded from a file, so
 * it is written to a private directory at its first use and removed as soon as it is loaded. The
 * library for other processors stays out: a job cannot move there either.
 */
export function nativeInside(): Plugin {
  return {
    name: 'native-inside',
    setup(build) {
      build.onResolve({ filter: /^@koromix\/koffi-/ }, ({ path }) => ({ path, namespace }));
      build.onLoad({ filter: /./, namespace }, ({ path }) => ({
        contents: path === ours ? loader(libraryText()) : `throw new Error('not in this bundle')`,
        loader: 'js',
      }));
    },
  };
}

const namespace = 'native-inside';
const ours = `@koromix/koffi-${process.platform}-${process.arch}`;

function libraryText(): string {
  const require = createRequire(createRequire(import.meta.url).resolve('koffi'));
  const folder = `${process.platform}_${process.arch}`;
  const path = join(dirname(require.resolve(ours)), folder, 'koffi.node');
  return gzipSync(readFileSync(path), { level: 9 }).toString('base64');
}

/** Some hosts mount /tmp noexec, Debian does so with /run: the first place that works is taken. */
function loader(library: string): string {
  return `
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { gunzipSync } = require('node:zlib');
const bytes = gunzipSync(Buffer.from('${library}', 'base64'));
const loadFrom = (place) => {
  const dir = mkdtempSync(place + '/migrate-native-');
  try {
    writeFileSync(dir + '/koffi.node', bytes);
    process.dlopen(module, dir + '/koffi.node');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
};
let failure;
for (const place of [tmpdir(), '/dev/shm', '/var/tmp', '/run']) {
  try {
    loadFrom(place);
    failure = undefined;
    break;
  } catch (error) {
    failure = error;
  }
}
if (failure !== undefined) throw failure;
`;
}
