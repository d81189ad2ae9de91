import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseInterfaceAddress } from '../../src/network/address.ts';
import { addIdentity, type L3Identity, removeIdentity } from '../../src/network/l3/identity.ts';
import { readBackIdentity } from '../../src/network/l3/read-back.ts';

const device = `rb${process.pid}`;
const identity: L3Identity = {
  device,
  addresses: ['198.51.100.7/24', '2001:db8:77::7/64'].map(parseInterfaceAddress),
  loopback4: '127.77.1.7',
  loopback6: 'fd00:77:1::7',
};

const ip = (...words: string[]) => execa('ip', words);

beforeAll(async () => {
  await ip('link', 'add', device, 'type', 'bridge');
  await ip('link', 'set', device, 'up');
});

afterAll(async () => {
  await removeIdentity(identity);
  await ip('link', 'del', device);
});

test('an identity that was added reads back as it is', async () => {
  await addIdentity(identity);
  expect(await readBackIdentity(identity)).toEqual([]);
});

test('what is missing or different is named', async () => {
  await ip('addr', 'del', '198.51.100.7/32', 'dev', device);
  await ip('addr', 'change', '2001:db8:77::7/128', 'dev', device, 'preferred_lft', 'forever');
  await ip('addr', 'del', 'fd00:77:1::7/128', 'dev', 'lo');
  expect(await readBackIdentity(identity)).toEqual([
    `198.51.100.7 is not on ${device}`,
    `2001:db8:77::7 on ${device} has preferred_lft forever, not 0`,
    'fd00:77:1::7 is not on lo',
  ]);
});
