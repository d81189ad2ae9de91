import { describe, expect, test } from 'vitest';
import { kindOf } from '../../../../../src/network/l2/kinds/kind-of.ts';
import { recordedKinds } from './recorded.ts';

/** A guest's kernel has put its fallback devices in front. */
const devices: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  '6.18': { p0: 3 },
  '6.12': { p0: 12, p2: 14 },
};
const namesOf = (numbers: Readonly<Record<string, number>>) => ({
  nameOf: (index: number) => Object.keys(numbers).find((name) => numbers[name] === index),
  indexOf: (name: string) => numbers[name] ?? 0,
});

describe.each(recordedKinds)(
  '$kind, as Linux $kernel tells it',
  ({ kind, kernel, bytes, data }) => {
    const names = namesOf(devices[kernel] ?? {});
    const set = kindOf(kind)?.data;
    const reading = { names, unknown: new Set<string>() };

    test('is read whole', () => {
      expect(set?.decode(Buffer.from(bytes, 'hex'), reading)).toEqual(data);
      expect([...reading.unknown]).toEqual([]);
    });

    test('is a document that is taken back, and no other key is', () => {
      expect(set?.schema.safeParse(data).success).toBe(true);
      expect(set?.schema.safeParse({ ...data, more: 1 }).success).toBe(false);
    });

    test('reads the same after it was written', () => {
      const written = set?.encode({ ...data }, names) ?? Buffer.alloc(0);
      expect(set?.decode(written, reading)).toEqual(data);
    });
  },
);

test('an attribute that is not known is reported', () => {
  const reading = { names: namesOf({}), unknown: new Set<string>() };
  kindOf('vrf')?.data?.decode(Buffer.from('05006300ff000000', 'hex'), reading);
  expect([...reading.unknown]).toEqual(['vrf 99']);
});
