import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { limits } from '../src/base/limits.ts';

const top = join(import.meta.dirname, '..');
const itself = 'test/tidy.test.ts';
const fileLinesMax = 400;
const lineCharsMax = 100;
const fileBytesMax = 1024 * 1024;

/** A pattern that must not appear in the files that `where` names, and what to use instead. */
interface Ban {
  readonly pattern: RegExp;
  readonly instead: string;
  readonly where?: RegExp;
}

const source = /[.](ts|mjs|cjs|js|c|h|py|sh)$/;
const shipped = /^(src|cli)\/.*[.]ts$/;

const bans: readonly Ban[] = [
  { pattern: /\b(TODO|FIXME|XXX)\b/, instead: 'do it now, or write a note on the issue' },
  { pattern: /\bas any\b|: any\b/, instead: 'unknown and a check', where: source },
  { pattern: /@ts-(ignore|nocheck|expect-error)/, instead: 'types that are true', where: source },
  { pattern: /eslint-disable/, instead: 'code that the rule accepts', where: source },
  { pattern: /\.only\(/, instead: 'all tests, always', where: /[.]test[.]ts$/ },
  {
    pattern: /\.(skip|todo)\(|\.skipIf\((?!.*\/\/ )/,
    instead: '.skipIf(probe) with a comment behind it that names the reason',
    where: /[.]test[.]ts$/,
  },
  { pattern: /^\s*export default/, instead: 'a named export', where: shipped },
  { pattern: /^\s*(export )?(const )?enum\b/, instead: '`as const` and a union', where: shipped },
  { pattern: /\bprocess\.exit\b|\bconsole\./, instead: 'an error or event', where: /^src\// },
  {
    pattern: /\bDate\.now\b|\bMath\.random\b|\bnew Date\(\)/,
    instead: 'the clock and randomness of src/host',
    where: /^(src\/(?!host\/)|cli\/)/,
  },
  {
    pattern: /(setTimeout|setInterval)\(.*,\s*\d{2,}\)|[tT]imeout(Ms)?: \d/,
    instead: 'a named limit with a unit and a reason',
    where: /^(src|cli)\/(?!(.*\/)?limits[.]ts$).*[.]ts$/,
  },
  { pattern: /\b(registry|npm)\.[a-z]+\.(org|com)\b|"resolved": "http/, instead: 'no host' },
  { pattern: /(^|\s)(deb|deb-src|URIs:) .*https?:\/\//, instead: "the machine's own apt settings" },
  { pattern: /(^|[^\w.])\/(work|home\/\w+)\//, instead: 'a path relative to the checkout' },
];

const files = listFiles();

test('no file holds a banned word', () => {
  expect(files.filter(isText).flatMap(bannedIn)).toEqual([]);
});

test('no line of TypeScript is longer than 100 characters, but for strings', () => {
  const long = files.filter(isTypeScript).flatMap((file) =>
    linesOf(file)
      .map((line, index) => ({ line, at: `${file}:${index + 1}` }))
      .filter(({ line }) => line.length > lineCharsMax && !isCodeWithString(line))
      .map(({ at }) => at),
  );
  expect(long).toEqual([]);
});

test('no file of code has more than 400 lines', () => {
  const long = files.filter((file) => source.test(file) && linesOf(file).length > fileLinesMax + 1);
  expect(long).toEqual([]);
});

test('file names of code are in kebab-case', () => {
  const names = files.filter(isTypeScript).map((file) => file.split('/').at(-1) ?? '');
  expect(names.filter((name) => !/^[a-z0-9]+(-[a-z0-9]+)*([.][a-z]+)*$/.test(name))).toEqual([]);
});

test('no file is larger than one mebibyte', () => {
  expect(files.filter((file) => statSync(join(top, file)).size > fileBytesMax)).toEqual([]);
});

test('a file is executable exactly when it starts with #!', () => {
  const wrong = files.filter((file) => {
    const executable = (statSync(join(top, file)).mode & 0o100) !== 0;
    return executable !== readFileSync(join(top, file)).subarray(0, 2).equals(Buffer.from('#!'));
  });
  expect(wrong).toEqual([]);
});

test('every limit has a unit in its name and a reason above it', () => {
  const text = linesOf('src/base/limits.ts');
  for (const name of Object.keys(limits)) {
    expect(name).toMatch(/(Ms|Max|Min|Bytes|PerSecond|Count)$/);
    const line = text.findIndex((candidate) => candidate.trim().startsWith(`${name}:`));
    expect(text[line - 1], name).toMatch(/^ {2}(\/\*\*| \*)/);
  }
});

test('the changelog and its unreleased entries have their shape', () => {
  expect(linesOf('CHANGELOG.md')[0]).toBe('# Changelog');
  const kinds = /^(Added|Changed|Fixed|Removed|Security): [A-Z`].*[.]$/;
  for (const file of files.filter((name) => name.startsWith('changelog/unreleased/'))) {
    expect(file).toMatch(/^changelog\/unreleased\/[a-z0-9-]+[.]md$/);
    expect(linesOf(file)[0], file).toMatch(kinds);
  }
});

/** What git tracks and what it would track: a file is judged before it is committed. */
function listFiles(): string[] {
  const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const names = execFileSync('git', list, { cwd: top, encoding: 'utf8' }).split('\0');
  return [...new Set(names)].filter((name) => name !== '' && existsSync(join(top, name)));
}

function bannedIn(file: string): string[] {
  if (file === itself || file === 'package-lock.json') return [];
  const lines = linesOf(file);
  return bans
    .filter((ban) => ban.where?.test(file) ?? true)
    .flatMap((ban) =>
      lines.flatMap((line, index) => {
        const found = ban.pattern.exec(line)?.[0];
        const at = `${file}:${index + 1}`;
        return found === undefined
          ? []
          : [`${at}: "${found.trim()}" is banned, use ${ban.instead}`];
      }),
    );
}

/** biome breaks code where it can: what is left is a string. Comments are ours to break. */
function isCodeWithString(line: string): boolean {
  return /['"`/]/.test(line) && !/^\s*(\/?\*|\/\/)/.test(line);
}

function isTypeScript(file: string): boolean {
  return file.endsWith('.ts');
}

function isText(file: string): boolean {
  return !readFileSync(join(top, file)).subarray(0, 8_000).includes(0);
}

function linesOf(file: string): string[] {
  return readFileSync(join(top, file), 'utf8').split('\n');
}
