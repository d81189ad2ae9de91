import { expect, test } from 'vitest';
import { isFallbackDevice } from '../../../../../src/network/l2/kinds/fallback.ts';

test.each([
  ['tunl0', 'ipip', true],
  ['ip6gre0', 'ip6gre', true],
  ['tunl0', 'tun', false],
  ['tunl1', 'ipip', false],
  ['constructor', 'x', false],
])('%s of kind %s: %s', (name, kind, isFallback) => {
  expect(isFallbackDevice(name, kind)).toBe(isFallback);
});
