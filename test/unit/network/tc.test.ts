import { describe, expect, test } from 'vitest';
import { actions } from '../../../src/network/l2/objects/tc/actions.ts';
import { filters } from '../../../src/network/l2/objects/tc/filters.ts';
import { handleNumber, handleText } from '../../../src/network/l2/objects/tc/message.ts';
import { queues } from '../../../src/network/l2/objects/tc/queues.ts';
import { sizeTableData } from '../../../src/network/l2/objects/tc/size-table.ts';
import type { LinkNames } from '../../../src/network/netlink/codec.ts';

const qdisc = {
  type: 'qdisc',
  link: 'eth0',
  kind: 'pfifo',
  handle: '1:',
  parent: 'root',
  options: '21000000',
} as const;

const filter = {
  type: 'filter',
  link: 'eth0',
  parent: 'ffff:',
  chain: 0,
  preference: 1,
  protocol: 3,
  kind: 'matchall',
  items: [{ handle: 1, options: '' }],
} as const;

const names: LinkNames = { nameOf: () => 'eth0', indexOf: () => 7 };

describe('a document from another host', () => {
  test.each([
    ['a handle that is no handle', queues, { ...qdisc, handle: '1:2:3' }],
    ['a kind with a path in it', queues, { ...qdisc, kind: '../sch' }],
    ['options that are not bytes', queues, { ...qdisc, options: 'abc' }],
    ['options longer than a message', queues, { ...qdisc, options: '00'.repeat(40_000) }],
    ['a field that nobody knows', queues, { ...qdisc, also: 1 }],
    ['a size table larger than an attribute', queues, { ...qdisc, sizeTable: { entries: 1e9 } }],
    ['a class with a block of filters', queues, { ...qdisc, type: 'class', ingressBlock: 1 }],
    [
      'a program of ours by its descriptor',
      filters,
      { ...filter, kind: 'bpf', items: [descriptor] },
    ],
    ['a preference of zero', filters, { ...filter, preference: 0 }],
    ['more actions than a filter can have', filters, withActions(33)],
    ['a cookie longer than the kernel keeps', actions, { ...drop, cookie: '00'.repeat(17) }],
  ] as const)('is refused for %s', (_what, section, one) => {
    expect(section.schema.safeParse(one).success).toBe(false);
  });

  test('is taken as this version writes it', () => {
    expect(queues.schema.safeParse(qdisc).success).toBe(true);
    expect(filters.schema.safeParse(withActions(32)).success).toBe(true);
  });

  test('may have parameters too short for what is written into them', () => {
    const short = { kind: 'mirred', options: '04000200', link: 'eth0' };
    const item = { handle: 1, options: '', police: '04000100', actions: [short] };
    const one = { ...filter, kind: 'u32', items: [item] };
    expect(filters.add(one, names)).toHaveLength(1);
  });
});

describe('what cannot be made again', () => {
  test.each([
    ['a kind of a later kernel', queues.problem?.({ ...qdisc, kind: 'later' }), /does not know/],
    ['a plug', queues.problem?.({ ...qdisc, kind: 'plug' }), /holds packets back/],
    ['an eBPF classifier', problemOf({ kind: 'bpf', options: '08000600' }), /eBPF/],
    ['a classifier of a later kernel', problemOf({ kind: 'later', options: '' }), /does not know/],
    ['an eBPF action', actions.problem?.({ kind: 'bpf', options: '' }), /eBPF/],
    ['a schedule of gates', actions.problem?.({ kind: 'gate', options: '' }), /gate/],
    ['an average rate', actions.problem?.({ kind: 'police', options: average }), /average/],
    ['a set of ipset', problemOf({ kind: 'basic', options: ipset }), /ipset/],
  ])('%s is named', (_what, problem, words) => {
    expect(problem).toMatch(words);
  });
});

test('handles are written as tc(8) writes them', () => {
  const texts = ['1:', '1:10', 'ffff:', 'ffff:fff2', 'root', 'ingress'];
  expect(texts.map((text) => handleText(handleNumber(text)))).toEqual(texts);
  expect(handleNumber('8001:a')).toBe(0x8001_000a);
});

test('a size table counts the cells of ATM, as tc(8) does', () => {
  const spec = { cellLog: 3, sizeLog: 0, cellAlign: -1, overhead: 8, linkLayer: 2, mpu: 20 };
  const data = sizeTableData({ ...spec, mtu: 2047, entries: 8 });
  const sizes = Array.from({ length: 8 }, (_, at) => data?.readUInt16LE(at * 2));
  expect(sizes).toEqual([53, 53, 53, 53, 53, 53, 106, 106]);
});

/** TCA_POLICE_AVRATE. */
const average = '0800040001000000';
/** A tree with one match, of the kind 8: its header and an empty body. */
const ipset = '180002001400020010000100000008000000000000000000';
const descriptor = { handle: 1, options: '080005000000000008000600ff000000' };
const drop = { kind: 'gact', options: '' };

function withActions(count: number) {
  const item = { handle: 1, options: '', actions: Array.from({ length: count }, () => drop) };
  return { ...filter, items: [item] };
}

function problemOf({ kind, options }: { kind: string; options: string }): string | undefined {
  return filters.problem?.({ ...filter, kind, items: [{ handle: 1, options }] });
}
