import { expect, test } from 'vitest';
import { parseJobSpec } from '../../../src/job/record.ts';

const spec = (v4: number, v6: number) => ({
  name: 'web',
  kind: 'l3',
  ip: [
    ...Array.from({ length: v4 }, (_, at) => `10.0.0.${at + 1}/24`),
    ...Array.from({ length: v6 }, (_, at) => `fd00::${at + 1}/64`),
  ],
  command: ['true'],
});

test('a job may have eight addresses of each family, and no more of either', () => {
  expect(parseJobSpec(spec(8, 8)).ip).toHaveLength(16);
  expect(() => parseJobSpec(spec(9, 0))).toThrow(/more than 8 addresses of a family/);
  expect(() => parseJobSpec(spec(1, 9))).toThrow(/more than 8 addresses of a family/);
});
