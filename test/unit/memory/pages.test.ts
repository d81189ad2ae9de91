import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createPageTable, pagesOf } from '../../../src/memory/pages.ts';
import { pageBytes } from './samples.ts';

test('a table knows what was set last, wherever that is', () => {
  const places = fc.oneof(fc.nat(2_000), fc.nat(2 ** 31), fc.constant(2 ** 35 - 1));
  fc.assert(
    fc.property(fc.array(fc.tuple(places, fc.nat(0xffff_ffff))), (writes) => {
      const table = createPageTable();
      const model = new Map<number, number>();
      for (const [page, value] of writes) {
        table.set(page * pageBytes, value);
        model.set(page, value);
        expect(table.get((page + 1) * pageBytes)).toBe(model.get(page + 1) ?? 0);
      }
      for (const [page, value] of model) expect(table.get(page * pageBytes)).toBe(value);
    }),
  );
});

test('a run is split into its wanted parts, as long as they can be, in their order', () => {
  fc.assert(
    fc.property(
      fc.nat(1_000),
      fc.array(fc.boolean(), { maxLength: 1_200 }),
      fc.array(fc.boolean(), { maxLength: 4 }),
      (first, wanted, behind) => {
        const table = createPageTable();
        for (const [at, value] of [...wanted, ...behind].entries()) {
          table.set((first + at) * pageBytes, value ? 1 : 2);
        }
        const run = { start: first * pageBytes, pages: wanted.length };
        const parts = table.split(run, (value) => value === 1);
        const marked = wanted.map(() => false);
        let end = -1;
        for (const { start, pages } of parts) {
          const from = start / pageBytes - first;
          expect(from).toBeGreaterThan(end);
          expect(pages).toBeGreaterThan(0);
          end = from + pages;
          marked.fill(true, from, end);
        }
        expect(marked).toEqual(wanted);
        expect(pagesOf(parts)).toBe(wanted.filter(Boolean).length);
      },
    ),
  );
});

test('what was never set can be wanted too', () => {
  const run = { start: 511 * pageBytes, pages: 3 };
  expect(createPageTable().split(run, (value) => value === 0)).toEqual([run]);
  expect(createPageTable().split({ start: 0, pages: 0 }, () => true)).toEqual([]);
});
