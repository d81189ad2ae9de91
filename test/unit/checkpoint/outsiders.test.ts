import { expect, test } from 'vitest';
import { findTaken } from '../../../src/checkpoint/netns/outsiders.ts';
import type { Holder } from '../../../src/checkpoint/netns/shared.ts';
import type { SocketDiag } from '../../../src/checkpoint/sockets/diag.ts';

const holder = (pid: number, tree: number | undefined, ...targets: string[]): Holder => ({
  pid,
  name: `p${pid}`,
  tree,
  descriptors: targets.map((target, fd) => ({ fd, target })),
});

const inet: SocketDiag = {
  table: 'inet',
  family: 2,
  protocol: 6,
  state: 10,
  receiveQueue: 0,
  isLinkLocalPeer: false,
  hasMd5: false,
};
const unix = (state: number): SocketDiag => ({
  table: 'unix',
  type: 1,
  state,
  peer: 0,
  isShut: false,
  sendQueue: 0,
  waiting: [],
});

test('a socket of the namespace that only a process that stays has is named, once a process', () => {
  const found = findTaken(
    [holder(20, 0, 'socket:[1]'), holder(99, undefined, '/dev/null', 'socket:[7]', 'socket:[8]')],
    new Map([1, 7, 8].map((inode) => [inode, inet])),
  );
  expect(found.map(({ message }) => message)).toEqual([
    'process 99 (p99) stays, and has on descriptor 1 a socket of the network namespace',
  ]);
});

test('a listener of unix sockets is one, what only asks the kernel and what two share is not', () => {
  const netlink: SocketDiag = {
    table: 'netlink',
    protocol: 0,
    port: 5,
    groups: undefined,
    receiveQueue: 0,
  };
  const sockets = new Map<number, SocketDiag>([
    [1, netlink],
    [2, unix(1)],
    [3, unix(10)],
    [4, inet],
  ]);
  const of = (...inodes: number[]) => inodes.map((inode) => `socket:[${inode}]`);
  const taken = (...inodes: number[]) =>
    findTaken([holder(20, 0, 'socket:[4]'), holder(99, undefined, ...of(...inodes))], sockets);
  expect(taken(1, 2, 4, 5)).toEqual([]);
  expect(taken(1, 2, 3)).toHaveLength(1);
});
