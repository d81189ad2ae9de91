import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exitCodes, exitMeanings } from '../cli/exit-codes.ts';
import { errorCodes } from '../src/base/codes.ts';

const top = join(import.meta.dirname, '..');
const operations = readFileSync(join(top, 'docs', 'operations.md'), 'utf8');

test('the table of exit codes is the one in the code', () => {
  const expected = Object.entries(exitMeanings).map(([code, meaning]) => [code, meaning]);
  expect(rowsUnder('Exit codes')).toEqual(expected);
});

test('the table of error codes is the one in the code', () => {
  const expected = Object.entries(errorCodes).map(([code, meaning]) => [
    code,
    String(exitCodes[code as keyof typeof exitCodes]),
    meaning,
  ]);
  expect(rowsUnder('Error codes')).toEqual(expected);
});

test('every option that help shows is in the table of commands, and none besides', () => {
  const helps = join(top, 'test', 'unit', 'cli', 'help');
  for (const file of readdirSync(helps)) {
    const words = file.replace('.txt', '').split('-').join(' ');
    const text = readFileSync(join(helps, file), 'utf8');
    const shown = [...text.matchAll(/^ {2}(?:-\w, )?(--[a-z0-9-]+)/gm)].map((match) => match[1]);
    const options = shown.filter((option) => option !== '--help' && option !== '--version');
    const rows = commandRows().filter(([name]) => name === words);
    const documented = rows.flatMap(([, row]) => row?.match(/--[a-z0-9-]+/g) ?? []);
    expect([...new Set(documented)].sort(), file).toEqual(options.sort());
  }
});

test('links in the documentation lead somewhere', () => {
  const files = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'];
  const docs = readdirSync(join(top, 'docs')).filter((name) => name.endsWith('.md'));
  const broken = [...files, ...docs.map((name) => `docs/${name}`)].flatMap((file) => {
    const text = readIfThere(join(top, file));
    const links = [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)/g)].map((match) => match[1]);
    return links
      .filter((link) => !existsSync(join(top, file, '..', link ?? '')))
      .map((link) => [file, link]);
  });
  expect(broken).toEqual([]);
});

test('every test that the page on l3 names is there', () => {
  const text = readFileSync(join(top, 'docs', 'l3-semantics.md'), 'utf8');
  const cited = text
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .flatMap((line) => [...(cells(line).at(-1) ?? '').matchAll(/"([^"]+)"/g)])
    .map((match) => match[1] ?? '');
  const tests = ['system', 'lab', 'vm'].flatMap((project) => {
    const directory = join(top, 'test', project);
    const files = readdirSync(directory).filter((name) => /^l3.*\.test\.ts$/.test(name));
    return files.map((name) => readFileSync(join(directory, name), 'utf8'));
  });
  expect(cited.length).toBeGreaterThan(30);
  expect(cited.filter((title) => !tests.some((file) => file.includes(`'${title}`)))).toEqual([]);
});

/** The cells of the one table below a heading, without its own heading. */
function rowsUnder(heading: string): string[][] {
  const section = operations.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const lines = section.split('\n').filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) => cells(line));
}

/** [words that name the command, the row without what it does] */
function commandRows(): [string, string][] {
  return rowsUnder('Commands').map(([usage = '', options = '']) => {
    const words = /^`(migrate(?: [a-z]+)*)/.exec(usage)?.[1] ?? '';
    return [words, `${usage} ${options}`.replace('[--]', '')];
  });
}

function cells(line: string): string[] {
  return line
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll('\\|', '|'));
}

function readIfThere(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
