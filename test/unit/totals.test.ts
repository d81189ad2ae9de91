import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { add, formatTotals, noTests, totalsOf } from '../../scripts/totals.ts';

const dir = mkdtempSync(join(tmpdir(), 'totals-'));
afterAll(() => rmSync(dir, { recursive: true }));

function report(passed: number, failed: number, pending: number): string {
  const path = join(dir, `${passed}-${failed}-${pending}.json`);
  const numbers = { numPassedTests: passed, numFailedTests: failed };
  writeFileSync(path, JSON.stringify({ ...numbers, numPendingTests: pending, numTodoTests: 0 }));
  return path;
}

test('the totals are the sum of the projects', () => {
  const totals = add(totalsOf(report(3, 1, 0), false), totalsOf(report(4, 0, 2), true));
  expect(formatTotals(totals)).toBe('7 passed, 1 failed, 2 skipped');
});

test('a stage that fails without a failed test is one failure', () => {
  expect(totalsOf(report(5, 0, 0), false)).toEqual({ passed: 5, failed: 1, skipped: 0 });
  expect(totalsOf(join(dir, 'absent.json'), false)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  expect(totalsOf(undefined, false).failed).toBe(1);
});

test('a check that passes is not counted as a test', () => {
  expect(totalsOf(undefined, true)).toEqual(noTests);
});
