import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';

const checkout = join(import.meta.dirname, '../..');

test('the bench of moves measures every contender once and keeps its tables', async () => {
  const out = await mkdtemp(join(tmpdir(), 'migrate-bench-'));
  try {
    const words = ['move', '--sizes', '4', '--runs', '1', '--warm-up', '0', '--out', out];
    const main = ['--import', 'tsx', join(checkout, 'bench/main.ts')];
    const bench = await execa('node', [...main, ...words], { cwd: checkout, reject: false });
    expect(bench.exitCode, bench.stderr).toBe(0);
    expect(bench.stdout).toContain('| silence ms');
    expect(`${bench.stdout}\n`).toBe(`${await readFile(join(out, 'move.md'), 'utf8')}`);

    const { series } = JSON.parse(await readFile(join(out, 'move.json'), 'utf8'));
    expect(series.map(({ contender }: { contender: string }) => contender)).toEqual([
      'migrate l3',
      'migrate l2',
      'by hand',
      'floor',
    ]);
    for (const { samples } of series) {
      expect(samples).toHaveLength(1);
      expect(samples[0].frozenMs).toBeGreaterThan(0);
      expect(samples[0].parts.length).toBeGreaterThan(0);
      expect(samples[0].kept).toBe(true);
    }
  } finally {
    await rm(out, { recursive: true });
  }
});

test('a bench that is asked for something else says how it is used', async () => {
  const main = ['--import', 'tsx', join(checkout, 'bench/main.ts')];
  for (const words of [[], ['stay'], ['move', '--runs', 'many'], ['move', '--sizes', '0']]) {
    const bench = await execa('node', [...main, ...words], { cwd: checkout, reject: false });
    expect(bench.exitCode).toBe(2);
    expect(bench.stderr).toContain('npm run bench -- move');
  }
});
