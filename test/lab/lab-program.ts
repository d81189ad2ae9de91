import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';

/**
 * The lab's command line as one file, which starts in a third of the time that its sources take: a
 * run of the tests starts it some thousand times. Its name is the hash of its content.
 */
export function labProgram(): Promise<string> {
  program ??= compile();
  return program;
}

const checkout = join(import.meta.dirname, '../..');
/** Below node_modules, where the packages that it needs are found. */
const place = join(checkout, 'node_modules/.cache/migrate-lab');
const hashLength = 12;
let program: Promise<string> | undefined;

async function compile(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(checkout, 'lab/main.ts')],
    write: false,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    plugins: [atHome],
    logLevel: 'warning',
  });
  const { contents = new Uint8Array() } = outputFiles[0] ?? {};
  const hash = createHash('sha256').update(contents).digest('hex').slice(0, hashLength);
  const path = join(place, `lab-${hash}.mjs`);
  await mkdir(place, { recursive: true });
  // Whoever runs beside us may be starting the same file.
  const aside = `${path}.${process.pid}`;
  await writeFile(aside, contents);
  await rename(aside, path);
  return path;
}

/** Each source finds what lies beside it where it was written, not where it is compiled to. */
const atHome: Plugin = {
  name: 'at-home',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const known = {
        dirname: dirname(path),
        filename: path,
        url: pathToFileURL(path).href,
      };
      const source = await readFile(path, 'utf8');
      const contents = source.replace(/\bimport\.meta\.(dirname|filename|url)\b/g, (_, name) =>
        JSON.stringify(known[name as keyof typeof known]),
      );
      return { contents, loader: 'ts' };
    });
  },
};
