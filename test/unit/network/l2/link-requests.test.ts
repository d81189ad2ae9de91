import { expect, test } from 'vitest';
import type { Link } from '../../../../src/network/l2/objects/link.ts';
import { changeLink } from '../../../../src/network/l2/objects/link-requests.ts';
import { findAttribute } from '../../../../src/network/netlink/attributes.ts';

const names = { nameOf: () => undefined, indexOf: () => 7 };
const messages = { create: 16, set: 19 } as const;
const headerBytes = 16;
const infoAttribute = 18;
const infoDataAttribute = 2;
/** IFLA_BOND_ACTIVE_SLAVE and IFLA_BOND_PRIMARY. */
const words = { activePort: 2, primary: 11 } as const;

const bond: Link = {
  name: 'bond0',
  kind: 'bond',
  mtu: 1_500,
  txQueueLength: 1_000,
  up: true,
  group: 0,
  data: { mode: 'active-backup', miimon: 100 },
};

function wordsOf(body: Buffer): string[] {
  const info = findAttribute(body.subarray(headerBytes), infoAttribute) ?? Buffer.alloc(0);
  const data = findAttribute(info, infoDataAttribute) ?? Buffer.alloc(0);
  return Object.entries(words)
    .filter(([, type]) => findAttribute(data, type) !== undefined)
    .map(([word]) => word);
}

test('what is special about a kind is said by RTM_NEWLINK, what changes by itself on its own', () => {
  const wanted = {
    ...bond,
    mtu: 1_400,
    data: { ...bond.data, primary: 'v1', activePort: 'v1' },
  };
  const requests = changeLink(wanted, { index: 3, link: bond }, ['mtu', 'data'], names);
  expect(requests.map(({ type, body }) => [type, ...wordsOf(body)])).toEqual([
    [messages.set],
    [messages.create, 'primary'],
    [messages.create, 'activePort'],
  ]);
});
