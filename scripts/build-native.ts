import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { execaSync } from 'execa';

/** Our programs without a C library, each beside the module that carries it. */
export const nativePrograms = {
  jobInit: { source: '../src/job/init/job-init.c', module: '../src/job/init/program.ts' },
  hookGate: { source: '../src/criu/hook/gate.c', module: '../src/criu/hook/gate.ts' },
  pager: { source: '../src/memory/pager/pager.c', module: '../src/memory/pager/program.ts' },
} as const;
export type NativeName = keyof typeof nativePrograms;

/** Compiles one of them; the same compiler gives the same bytes. */
export function compileNative(name: NativeName): Buffer {
  const dir = mkdtempSync(join(tmpdir(), 'native-'));
  try {
    const out = join(dir, name);
    execaSync('gcc', [...flags, '-o', out, pathOf(nativePrograms[name].source)]);
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

function writeModule(name: NativeName): void {
  const bytes = compileNative(name);
  const base64 = (bytes.toString('base64').match(/.{1,90}/g) ?? [])
    .map((line) => `  '${line}',`)
    .join('\n');
  const { source, module } = nativePrograms[name];
  writeFileSync(
    pathOf(module),
    `/** ${basename(source)} compiled; made by scripts/build-native.ts, compared by a test. */
export const ${name}Base64 = [
${base64}
].join('');
`,
  );
}

function pathOf(relative: string): string {
  return new URL(relative, import.meta.url).pathname;
}

if (process.argv[1] === pathOf(import.meta.url)) {
  for (const name of Object.keys(nativePrograms) as NativeName[]) writeModule(name);
}
