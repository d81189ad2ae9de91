import { describe, expect, it } from 'vitest';
import { foreignMounts } from '../../../src/checkpoint/netns/mounts.ts';
import { findShared, type Holder, readUnixPairs } from '../../../src/checkpoint/netns/shared.ts';

function holder(pid: number, tree: number | undefined, ...targets: string[]): Holder {
  return { pid, name: `p${pid}`, tree, descriptors: targets.map((target, fd) => ({ fd, target })) };
}

describe('what a process tree shares', () => {
  it('within itself, and files on a disk with anybody, may go', () => {
    const log = '/var/log/web.log';
    const found = findShared(
      [
        holder(20, 0, '/dev/null', log, 'pipe:[7]', 'socket:[8]'),
        holder(21, 0, '/dev/null', log, 'pipe:[7]', 'socket:[8]'),
        holder(30, 1, '/dev/null', log, 'anon_inode:[eventpoll]'),
        holder(99, undefined, '/dev/null', log, 'anon_inode:[eventpoll]'),
      ],
      [],
    );
    expect(found).toEqual([]);
  });

  it.each([
    ['a pipe', 'pipe:[7]', /descriptor 0 a pipe that process 99 \(p99\) has too/],
    ['a socket', 'socket:[8]', /a socket that process 99/],
    ['a memory file', '/memfd:shared (deleted)', /a memory file that process 99/],
  ])('%s with a process that stays is named, with both', (_, target, says) => {
    const [found, ...others] = findShared(
      [holder(20, 0, target), holder(99, undefined, target)],
      [],
    );
    expect(found?.message).toMatch(says);
    expect(found?.message).toMatch(/^process 20 \(p20\)/);
    expect(others).toEqual([]);
  });

  it('with another tree is named on both sides', () => {
    const found = findShared([holder(20, 0, 'pipe:[7]'), holder(30, 1, 'pipe:[7]')], []);
    expect(found.map(({ message }) => message.slice(0, 16))).toEqual([
      'process 20 (p20)',
      'process 30 (p30)',
    ]);
  });

  it.each(['/dev/pts/3', '/dev/tty', '/dev/tty1', '/dev/console'])('%s is a terminal', (path) => {
    expect(findShared([holder(20, 0, path)], [])[0]?.message).toContain(`the terminal ${path}`);
  });

  it('over a connected unix socket must have both ends in one tree', () => {
    const said = [
      'u_str ESTAB 0 0 * 10 * 11',
      'u_str ESTAB 0 0 * 11 * 10',
      'u_dgr UNCONN 0 0 /run/x 12 * 0',
      'u_dgr ESTAB 0 0 * 13 * 900',
    ].join('\n');
    const pairs = readUnixPairs(said);
    const one = holder(20, 0, 'socket:[10]', 'socket:[12]');
    expect(findShared([one, holder(21, 0, 'socket:[11]')], pairs)).toEqual([]);
    const apart = findShared([one, holder(30, 1, 'socket:[11]')], pairs);
    expect(apart[0]?.message).toMatch(/a unix socket that is connected to process 30/);
    const syslog = findShared([holder(20, 0, 'socket:[13]')], pairs);
    expect(syslog[0]?.message).toMatch(/connected to somebody else/);
  });
});

describe('the mounts of a tree', () => {
  const root = { point: '/', root: '/', device: '8:1' };

  it('may be those of the host, and those that ip netns exec makes', () => {
    const own = [
      root,
      { point: '/sys', root: '/', device: '0:99' },
      { point: '/proc', root: '/', device: '0:98' },
      { point: '/etc/resolv.conf', root: '/etc/netns/web/resolv.conf', device: '8:1' },
    ];
    expect(foreignMounts([root, { point: '/run', root: '/', device: '0:5' }], own)).toEqual([]);
  });

  it('are named when the host has none there, or another', () => {
    const tmp = { point: '/tmp', root: '/', device: '0:50' };
    const own = [root, { ...tmp, root: '/private' }, { point: '/mnt', root: '/', device: '0:51' }];
    expect(foreignMounts([root, tmp], own)).toEqual(['/tmp', '/mnt']);
  });
});
