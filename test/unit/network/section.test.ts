import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { joinRanges } from '../../../src/network/l2/objects/vlan-ranges.ts';
import { planSection, type Section } from '../../../src/network/l2/section.ts';

interface Item {
  readonly group: string;
  readonly name: string;
  readonly rank: number;
}

const ordered: Section<Item> = {
  name: 'item',
  schema: z.custom<Item>(),
  read: () => [],
  add: () => [],
  remove: () => [],
  describe: ({ name }) => name,
  order: { groupOf: ({ group }) => group, placed: 'last' },
  before: (one, other) => one.rank - other.rank,
};

const item = (group: string, name: string, rank: number): Item => ({ group, name, rank });

describe('What is to be made of a section', () => {
  test('a group whose order counts keeps it, whatever its objects need', () => {
    const wanted = [item('a', '1', 9), item('a', '2', 1), item('b', '3', 5)];
    expect(planSection(ordered, wanted, []).add.map(({ name }) => name)).toEqual(['3', '1', '2']);
  });

  test('what stands before the first difference of a group is left alone', () => {
    const wanted = [item('a', '1', 0), item('a', '2', 0), item('a', '3', 0)];
    const found = [item('a', '1', 0), item('a', '3', 0)];
    const { remove, add } = planSection(ordered, wanted, found);
    expect(remove.map(({ name }) => name)).toEqual(['3']);
    expect(add.map(({ name }) => name)).toEqual(['2', '3']);
  });

  test('the same twice is wanted twice', () => {
    const { order, before, ...plain } = ordered;
    const one = item('a', '1', 0);
    expect(planSection(plain, [one, one], [one])).toEqual({ remove: [], add: [one] });
  });
});

describe('Ranges of VLANs', () => {
  test('ranges that touch and are alike are one, others stay apart', () => {
    const ranges = [
      { first: 1, last: 1, untagged: true },
      { first: 2, last: 9, untagged: true },
      { first: 10, last: 10, untagged: false },
      { first: 12, last: 12, untagged: false },
    ];
    expect(joinRanges(ranges, (a, b) => a.untagged === b.untagged)).toEqual([
      { first: 1, last: 9, untagged: true },
      { first: 10, last: 10, untagged: false },
      { first: 12, last: 12, untagged: false },
    ]);
  });
});
