import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addressBytes } from '../../../src/network/address.ts';
import { choosePrivateLoopback, loopback6Prefix } from '../../../src/network/l3/loopback.ts';

const free = () => false;

test('the private addresses come from the primary one', () => {
  expect(choosePrivateLoopback('10.77.1.5', free)).toEqual({
    loopback4: '127.205.1.5',
    loopback6: 'fd6d:6967:7261:7465::7fcd:105',
  });
  expect(choosePrivateLoopback('192.168.3.4', free).loopback4).toBe('127.168.3.4');
});

test('an IPv6 primary gives the same ones every time', () => {
  const first = choosePrivateLoopback('fd77::1', free);
  expect(choosePrivateLoopback('fd77:0::0:1', free)).toEqual(first);
  expect(choosePrivateLoopback('fd77::2', free)).not.toEqual(first);
});

test('the next free one is taken, around the end of the range', () => {
  const taken = new Set(['127.205.1.5', '127.205.1.6']);
  const chosen = choosePrivateLoopback('10.77.1.5', (candidate) => taken.has(candidate));
  expect(chosen.loopback4).toBe('127.205.1.7');
  expect(choosePrivateLoopback('10.255.255.255', free).loopback4).toBe('127.128.0.1');
  expect(choosePrivateLoopback('10.0.0.0', free).loopback4).toBe('127.128.0.1');
  expect(() => choosePrivateLoopback('10.0.0.1', () => true)).toThrow(/no private loopback/);
});

test('they lie where the kernel and the filter expect them', () => {
  const primary = fc.oneof(
    fc.ipV4(),
    fc.ipV6().filter((text) => !text.includes('.')),
  );
  fc.assert(
    fc.property(primary, (address) => {
      const { loopback4, loopback6 } = choosePrivateLoopback(address, free);
      const four = addressBytes(loopback4);
      expect(four[0]).toBe(127);
      expect(four[1]).toBeGreaterThanOrEqual(128);
      expect(['127.128.0.0', '127.255.255.255']).not.toContain(loopback4);
      const prefix = addressBytes(`${loopback6Prefix}`).subarray(0, 12);
      expect(addressBytes(loopback6)).toEqual(Buffer.concat([prefix, four]));
    }),
  );
});
