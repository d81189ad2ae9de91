import { join } from 'node:path';
import { build } from 'esbuild';

/** Bundles an agent of test/fixtures into one file, as the product's own agent is. */
export async function bundleAgent(fixture: string, outfile: string): Promise<string> {
  await build({
    entryPoints: [join(import.meta.dirname, '..', 'fixtures', fixture)],
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    external: ['cpu-features'],
    loader: { '.node': 'empty' },
    outfile,
    logLevel: 'error',
  });
  return outfile;
}
