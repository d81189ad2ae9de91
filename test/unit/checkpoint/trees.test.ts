import { describe, expect, it } from 'vitest';
import type { Member } from '../../../src/checkpoint/netns/members.ts';
import { sortIntoTrees } from '../../../src/checkpoint/netns/trees.ts';

const HOST = 'pid:[1]';
const us = { pid: 5000, pidns: HOST };

function member(pid: number, ppid: number, more: Partial<Member> = {}): Member {
  const fixed = { pid, ppid, name: `p${pid}`, startTime: pid * 10 };
  return { ...fixed, isInside: true, pidns: HOST, nsPid: pid, isOurInit: false, ...more };
}

const outside = { isInside: false };

describe('the trees of a network namespace', () => {
  it('begin where a parent is not in it, and hold every descendant', () => {
    const all = [
      member(1, 0, outside),
      member(200, 1, outside),
      member(30, 200),
      member(20, 1),
      member(21, 20),
      member(22, 21),
      member(40, 200, outside),
    ];
    const { trees, obstacles } = sortIntoTrees(all, us);
    expect(obstacles).toEqual([]);
    expect(trees.map(({ members }) => members.map(({ pid }) => pid))).toEqual([[20, 21, 22], [30]]);
    expect(trees.map(({ group }) => group)).toEqual([0, 0]);
  });

  it('of a PID namespace that a move made begin below its init, a group of their own', () => {
    const there = { pidns: 'pid:[2]' };
    const all = [
      member(1, 0, outside),
      member(50, 1, { ...there, nsPid: 1, isOurInit: true }),
      member(51, 50, { ...there, nsPid: 20 }),
      member(52, 50, { ...there, nsPid: 9 }),
      member(60, 1),
    ];
    const { trees, obstacles } = sortIntoTrees(all, us);
    expect(obstacles).toEqual([]);
    expect(trees.map(({ pid, nsPid, group }) => [pid, nsPid, group])).toEqual([
      [60, 60, 0],
      [52, 9, 1],
      [51, 20, 1],
    ]);
  });

  it('number their groups from 0 when none of them is in the PID namespace of the host', () => {
    const there = { pidns: 'pid:[2]' };
    const init = member(50, 1, { ...there, nsPid: 1, isOurInit: true });
    const { trees } = sortIntoTrees([init, member(51, 50, there)], us);
    expect(trees.map(({ group }) => group)).toEqual([0]);
  });

  it('are none of our own tools', () => {
    const all = [member(5000, 1, outside), member(5001, 5000), member(5002, 5001), member(20, 1)];
    expect(sortIntoTrees(all, us).trees.map(({ pid }) => pid)).toEqual([20]);
  });

  it.each([
    ['has left the network namespace', [member(20, 1), member(21, 20, outside), member(22, 21)]],
    ['is in a PID namespace of its own', [member(20, 1, { pidns: 'pid:[9]', nsPid: 1 })]],
    ['is in another PID namespace than', [member(20, 1), member(21, 20, { pidns: 'pid:[9]' })]],
    [
      'is in the PID namespace of processes that moved here',
      [
        member(50, 1, { pidns: 'pid:[2]', isOurInit: true }),
        member(60, 4, { pidns: 'pid:[2]', nsPid: 7 }),
      ],
    ],
  ])('cannot go when one of them %s', (says, all) => {
    const [first] = sortIntoTrees(all, us).obstacles;
    expect(first?.message).toContain(says);
    expect(first?.message).toMatch(/^process \d+ \(p\d+\) /);
    expect(first?.hint).not.toBe('');
  });
});
