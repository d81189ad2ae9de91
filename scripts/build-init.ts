import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execaSync } from 'execa';

/** Compiles src/job/init/job-init.c; the same compiler gives the same bytes. */
export function compileJobInit(): Buffer {
  const dir = mkdtempSync(join(tmpdir(), 'job-init-'));
  try {
    const out = join(dir, 'job-init');
    const source = new URL('../src/job/init/job-init.c', import.meta.url).pathname;
    execaSync('gcc', [...flags, '-o', out, source]);
    return readFileSync(out);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

const flags = [
  '-Os',
  '-static',
  '-nostdlib',
  '-ffreestanding',
  '-fno-stack-protector',
  '-fno-asynchronous-unwind-tables',
  '-fno-ident',
  '-fno-pic',
  '-no-pie',
  '-fcf-protection=none',
  '-march=x86-64',
  '-Wl,--build-id=none',
  '-Wl,-z,noseparate-code',
  '-Wl,-z,norelro',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-s',
];

function main(): void {
  const bytes = compileJobInit();
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const base64 = (bytes.toString('base64').match(/.{1,90}/g) ?? [])
    .map((line) => `  '${line}',`)
    .join('\n');
  const target = new URL('../src/job/init/program.ts', import.meta.url).pathname;
  writeFileSync(
    target,
    `/** job-init.c compiled; made by scripts/build-init.ts, compared by test/system/job-init.test.ts. */
export const jobInitSha256 =
  '${sha256}';

export const jobInitBase64 = [
${base64}
].join('');
`,
  );
}

if (process.argv[1] === new URL(import.meta.url).pathname) main();
