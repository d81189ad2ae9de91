import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const top = join(import.meta.dirname, '..', '..');
let violations: readonly Violation[];
let dir: string;

interface Violation {
  readonly from: string;
  readonly to: string;
  readonly rule: { readonly name: string };
}

/** A small tree in which nearly every file breaks one rule. */
const files: Record<string, string> = {
  'src/base/errors.ts': `import '../host/run.ts';`,
  'src/host/run.ts': `import 'execa'; import 'node:child_process'; import 'koffi';`,
  'src/host/up.ts': `import '../bundle/format.ts';`,
  'src/bundle/format.ts': `import 'tar-stream'; import 'msgpackr'; export type Format = 1;`,
  'src/transport/frame.ts': `import type { Format } from '../bundle/format.ts'; import 'ssh2';`,
  'src/criu/criu.ts': `import 'execa'; import 'msgpackr';`,
  'src/job/job.ts': `import { spawn } from 'node:child_process'; void spawn;`,
  'src/network/l3/filter.ts': `import 'koffi'; import 'ssh2'; import 'tar-stream';`,
  'src/checkpoint/checkpoint.ts': `import '../restore/restore.ts'; import '../criu/criu.ts';`,
  'src/restore/restore.ts': `import '../transport/frame.ts'; import './there-is-no-such-file.ts';`,
  'src/migration/a.ts': `import './b.ts'; import '../checkpoint/checkpoint.ts';`,
  'src/migration/b.ts': `import './a.ts'; import '../transport/frame.ts'; import 'vitest';`,
  'src/index.ts': `import './migration/a.ts'; import '../cli/main.ts';`,
  'cli/main.ts': `import '../src/index.ts'; import '../src/base/errors.ts'; import 'commander';`,
  'cli/low.ts': `import '../src/migration/b.ts'; import 'execa';`,
  'src/migration/parse.ts': `import 'commander';`,
  'lab/main.ts': `import '../src/base/errors.ts'; import 'execa';`,
};

const broken = [
  'base-imports-down-only: src/base/errors.ts -> src/host/run.ts',
  'checkpoint-imports-down-only: src/checkpoint/checkpoint.ts -> src/restore/restore.ts',
  'cli-uses-the-public-api: cli/low.ts -> src/migration/b.ts',
  'commander-at-home: src/migration/parse.ts -> commander',
  'every-import-resolves: src/restore/restore.ts -> ./there-is-no-such-file.ts',
  'host-imports-down-only: src/host/up.ts -> src/bundle/format.ts',
  'index-is-above-src-only: src/index.ts -> cli/main.ts',
  'lab-stands-alone: lab/main.ts -> src/base/errors.ts',
  'msgpackr-at-home: src/criu/criu.ts -> msgpackr',
  'no-cycles: cli/main.ts -> src/index.ts',
  'no-cycles: src/migration/a.ts -> src/migration/b.ts',
  'no-development-packages: src/migration/b.ts -> vitest',
  'programs-at-home: cli/low.ts -> execa',
  'programs-at-home: src/criu/criu.ts -> execa',
  'programs-at-home: src/job/job.ts -> child_process',
  'programs-at-home: src/network/l3/filter.ts -> koffi',
  'restore-imports-down-only: src/restore/restore.ts -> src/transport/frame.ts',
  'ssh2-at-home: src/network/l3/filter.ts -> ssh2',
  'tar-stream-at-home: src/network/l3/filter.ts -> tar-stream',
  'transport-imports-down-only: src/transport/frame.ts -> src/bundle/format.ts',
];

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'import-law-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), `${text}\n`);
  }
  for (const name of ['.dependency-cruiser.cjs', 'tsconfig.json', 'package.json']) {
    cpSync(join(top, name), join(dir, name));
  }
  symlinkSync(join(top, 'node_modules'), join(dir, 'node_modules'));
  const program = join(top, 'node_modules', '.bin', 'depcruise');
  const { stdout } = spawnSync(program, ['--output-type', 'json', 'src', 'cli', 'lab'], {
    cwd: dir,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  violations = (JSON.parse(stdout) as { summary: { violations: Violation[] } }).summary.violations;
}, 60_000);

afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('each rule of the import law finds what breaks it, and nothing else', () => {
  const found = violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${inWords(to)}`);
  expect(found.sort()).toEqual(broken);
});

/** A package under its own name, wherever it was found. */
function inWords(path: string): string {
  return /node_modules\/(?:@types\/)?([^/]+)/.exec(path)?.[1] ?? path;
}
