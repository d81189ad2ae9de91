import { describe, expect, test } from 'vitest';
import { isMigrateError } from '../../../src/base/errors.ts';
import {
  groupFilter,
  joinedGroups,
  joinRequests,
  readFilter,
} from '../../../src/network/sockets/groups.ts';
import { groupSettings, parseSocketSettings } from '../../../src/network/sockets/settings.ts';
import { tellTogether } from '../../../src/network/sockets/tell.ts';
import { tellValue, valueBytes } from '../../../src/network/sockets/values.ts';

const TCP = { family: 2, type: 1, protocol: 6, groups: [] };
const timeout = [{ name: 'tcp-user-timeout', value: 30_000 }];

describe('a document about sockets', () => {
  test('sockets with equal settings are one entry', () => {
    const sockets = Array.from({ length: 10_000 }, (_, fd) => ({
      ...TCP,
      options: timeout,
      pid: 7,
      fd,
    }));
    const other = { ...TCP, options: [], pid: 8, fd: 3 };
    const { settings, left } = groupSettings([...sockets, other]);
    expect(left).toBe(0);
    expect(settings.map(({ at }) => at.map(({ pid, fds }) => [pid, fds.length]))).toEqual([
      [[7, 10_000]],
      [[8, 1]],
    ]);
    expect(parseSocketSettings(settings)).toEqual(settings);
  });

  test('more different settings than the limit are counted', () => {
    const sockets = Array.from({ length: 5_000 }, (_, fd) => ({
      ...TCP,
      options: [{ name: 'so-max-pacing-rate', value: fd }],
      pid: 7,
      fd,
    }));
    const { settings, left } = groupSettings(sockets);
    expect(settings.length + left).toBe(5_000);
    expect(left).toBe(904);
  });

  const good = { ...TCP, options: timeout, at: [{ pid: 7, fds: [3] }] };
  const group = { group: '239.1.1.1', device: 'eth0', mode: 'exclude', sources: [] };

  test.each([
    ['no list', {}],
    ['an unknown key', [{ ...good, more: 1 }]],
    ['a pid of nobody', [{ ...good, at: [{ pid: 0, fds: [3] }] }]],
    ['a negative descriptor', [{ ...good, at: [{ pid: 7, fds: [-1] }] }]],
    ['nobody', [{ ...good, at: [] }]],
    ['an option without a name', [{ ...good, options: [{ name: '', value: 1 }] }]],
    ['an option with too large a number', [{ ...good, options: [{ name: 'x', value: 2 ** 32 }] }]],
    ['an option with a control character', [{ ...good, options: [{ name: 'x', value: '\n' }] }]],
    ['a device with a slash', [{ ...good, groups: [{ ...group, device: '../x' }] }]],
    ['a group that is none', [{ ...good, groups: [{ ...group, group: 'x' }] }]],
    ['a mapped group', [{ ...good, groups: [{ ...group, group: '::ffff:1.2.3.4' }] }]],
    ['a source of the other family', [{ ...good, groups: [{ ...group, sources: ['ff15::1'] }] }]],
    [
      'too many sources',
      [{ ...good, groups: [{ ...group, sources: Array(65).fill('10.0.0.1') }] }],
    ],
    ['too many options', [{ ...good, options: Array(65).fill(timeout[0]) }]],
  ])('%s is unsafe', (_, value) => {
    const parse = () => parseSocketSettings(value);
    expect(parse).toThrow(
      expect.toSatisfy((error) => isMigrateError(error) && error.code === 'BUNDLE_UNSAFE'),
    );
  });
});

describe('values of options', () => {
  const devices = {
    nameOf: (index: number) => (index === 9 ? 'eth0' : undefined),
    indexOf: (name: string) => (name === 'eth0' ? 9 : undefined),
  };

  test.each([
    ['int', -1],
    ['text', 'cubic'],
    ['device', 'eth0'],
    ['device-network-order', 'eth0'],
    ['address', '10.0.0.1'],
    ['bytes', '830704'],
  ] as const)('%s comes back as it went', (form, value) => {
    const bytes = valueBytes(form, value, devices);
    expect(bytes && tellValue(form, bytes, devices)).toBe(value);
  });

  test.each([
    ['int', 'one'],
    ['text', 1],
    ['device', 'eth7'],
    ['address', '10.0.0'],
    ['bytes', 'abc'],
  ] as const)('%s has no value %s', (form, value) => {
    expect(valueBytes(form, value, devices)).toBeUndefined();
  });
});

describe('multicast groups', () => {
  const igmp = [
    'Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter',
    '1\tlo        :     1      V3',
    '\t\t\t\t010000E0     1 0:00000000\t\t0',
    '2\teth0      :     2      V3',
    '\t\t\t\t01004DEF     1 0:00000000\t\t0',
    '\t\t\t\t010000E0     1 0:00000000\t\t0',
  ].join('\n');
  const igmp6 = '2    eth0            ff150000000000000000000000000077     1 00000004 0\n';

  test('are read from /proc/net', () => {
    expect(joinedGroups(igmp, igmp6)).toEqual([
      { index: 1, device: 'lo', group: '224.0.0.1' },
      { index: 2, device: 'eth0', group: '239.77.0.1' },
      { index: 2, device: 'eth0', group: '224.0.0.1' },
      { index: 2, device: 'eth0', group: 'ff15:0:0:0:0:0:0:77' },
    ]);
    expect(joinedGroups('', '')).toEqual([]);
  });

  test('with sources are joined source by source, or with a filter', () => {
    const sources = ['10.0.0.1', '10.0.0.2'];
    const group = { group: '239.1.1.1', device: 'eth0', sources };
    expect(joinRequests({ ...group, mode: 'include' }, 2).map(({ option }) => option)).toEqual([
      46, 46,
    ]);
    const [join, filter] = joinRequests({ ...group, mode: 'exclude' }, 2);
    expect(join?.option).toBe(42);
    expect(filter?.option).toBe(48);
    expect(filter && readFilter(filter.value)).toEqual({ mode: 'exclude', sources, total: 2 });
  });

  test('of more sources than there was room for say so', () => {
    const filter = groupFilter({ group: '239.1.1.1', index: 2 }, 1);
    filter.writeUInt32LE(3, 140);
    expect(readFilter(filter)).toMatchObject({ total: 3 });
    expect(readFilter(filter).sources).toHaveLength(1);
  });
});

test('descriptors of which the same is said share a line', () => {
  const remarks = Array.from({ length: 8 }, (_, fd) => ({ pid: 9, program: 'web', fd, what: 'x' }));
  expect(tellTogether([...remarks, { pid: 9, program: 'web', fd: 9, what: 'y' }])).toEqual([
    { message: 'descriptors 0, 1, 2, 3, 4 and 3 more of process 9 (web): x' },
    { message: 'descriptor 9 of process 9 (web): y' },
  ]);
});
