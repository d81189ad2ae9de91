import { describe, expect, test } from 'vitest';
import { diffNetwork } from '../../../../src/network/l2/diff.ts';
import { freshState, randomMac } from '../../../../src/network/l2/fresh-state.ts';
import { readNftTables } from '../../../../src/network/l2/nft.ts';
import { planNetwork } from '../../../../src/network/l2/plan.ts';
import { type NetworkState, parseNetworkState } from '../../../../src/network/l2/state.ts';
import {
  freshLink,
  pickSysctls,
  readSysctlText,
  sysctlLines,
} from '../../../../src/network/l2/sysctls.ts';
import { ruleset } from './recorded.ts';

const spec = {
  ip: ['10.77.0.100/24', 'fd77::100/64'],
  gateways: ['10.77.0.1', 'fd77::1'],
  mtu: 1_500,
  mac: '02:00:00:00:00:77',
};
const state = freshState(spec);

describe('a new job', () => {
  test('has its addresses, the one that the kernel would make, and its gateways', () => {
    expect(
      state.addresses.map(({ address, prefixLength }) => `${address}/${prefixLength}`),
    ).toEqual(['127.0.0.1/8', '::1/128', '10.77.0.100/24', 'fd77::100/64', 'fe80::ff:fe00:77/64']);
    expect(state.routes.map(({ gateway }) => gateway)).toEqual(['10.77.0.1', 'fd77::1']);
  });

  test('has a MAC of one station, administered locally, another each time', () => {
    const macs = Array.from({ length: 100 }, randomMac);
    expect(new Set(macs).size).toBe(100);
    for (const mac of macs) expect(mac).toMatch(/^[0-9a-f][26ae](:[0-9a-f]{2}){5}$/);
  });

  test.each([
    { ip: ['10.77.0.300/24'] },
    { ip: ['10.77.0.1/33'] },
    { ip: ['10.77.0.100'] },
    { gateways: ['nowhere'] },
    { gateways: ['10.78.0.1'] },
    { innerName: 'eth0; reboot' },
    { mac: '02:00:00:00:00' },
  ])('with %o is a usage error', (change) => {
    expect(() => freshState({ ...spec, ...change })).toThrow(
      expect.objectContaining({ code: 'USAGE' }),
    );
  });
});

describe('a document from outside', () => {
  const [table] = readNftTables(ruleset, []);
  test.each([
    ['sysctls', { 'net/../kernel/core_pattern': '|/bin/sh' }],
    ['sysctls', { 'kernel/core_pattern': '|/bin/sh' }],
    ['sysctls', { 'net/ipv4/ip_forward': '1\nkernel/core_pattern=x' }],
    ['links', [{ ...state.links[1], name: 'e\nlink del eth0' }]],
    ['links', [{ ...state.links[1], alias: 'x" master "br0' }]],
    ['addresses', [{ ...state.addresses[0], label: 'eth0 dev lo' }]],
    ['routes', [{ ...state.routes[0], destination: '10.0.0.0/8 dev lo' }]],
    ['nft', [{ ...table, name: 'x; flush ruleset' }]],
    ['version', 2],
    ['surplus', true],
  ])('may not hold this in %s: %j', (key, value) => {
    expect(() => parseNetworkState({ ...state, [key]: value })).toThrow(
      expect.objectContaining({ code: 'BUNDLE_UNSAFE' }),
    );
  });
});

describe('the plan', () => {
  test('is down, sysctls, up, addresses, routes, rules; nft beside the first', () => {
    const full: NetworkState = {
      ...state,
      nft: readNftTables(ruleset, []),
      sysctls: { 'net/core/somaxconn': '77' },
      rules: [{ family: 6, priority: 7, table: 9, protocol: 0 }],
    };
    const { batches } = planNetwork(full);
    expect(batches.map((batch) => batch.map((step) => step.tool))).toEqual([
      ['ip', 'nft'],
      ['sysctl'],
      ['ip'],
      ['ip6'],
    ]);
    expect(batches[0]?.[0]?.lines).toContain('link set dev eth0 down');
    expect(batches[2]?.[0]?.lines).toEqual([
      'link set dev lo up',
      'link set dev eth0 addrgenmode none',
      'link set dev eth0 up',
      'addr flush dev eth0',
      'addr add 10.77.0.100/24 dev eth0 scope 0',
      'addr add fe80::ff:fe00:77/64 dev eth0 nodad',
      'addr add fd77::100/64 dev eth0 nodad',
      'route add unicast default table 254 proto 3 scope 0 via 10.77.0.1 dev eth0',
    ]);
    expect(batches[3]?.[0]?.lines).toEqual([
      'route add unicast default table 254 proto 3 metric 1024 via fd77::1 dev eth0',
      'rule add from all priority 7 protocol 0 table 9',
      'link set dev eth0 addrgenmode eui64',
    ]);
  });

  test('leaves out what it is told to', () => {
    const lines = planNetwork(state, { ignoreLinks: ['eth0'] }).batches.flat()[0]?.lines;
    expect(lines?.join()).not.toContain('eth0');
  });
});

describe('sysctls', () => {
  const fresh = new Map(
    Object.entries({
      'net/core/somaxconn': '4096',
      'net/ipv4/tcp_rmem': '1 2 3',
      'net/ipv4/tcp_ehash_entries': '9',
      'net/ipv6/conf/all/forwarding': '0',
      'net/ipv6/conf/lo/forwarding': '0',
      [`net/ipv6/conf/${freshLink}/forwarding`]: '0',
      [`net/ipv6/conf/${freshLink}/mtu`]: '1500',
      [`net/ipv6/conf/${freshLink}/hop_limit`]: '64',
    }).map(([key, value]) => [key, { value, writable: !key.includes('ehash') }]),
  );
  const found = (text: string) =>
    pickSysctls(
      readSysctlText(text.replace(/^/gm, '/proc/sys/net/')),
      fresh,
      new Map([['eth0', 1_400]]),
    );

  test('are those that differ, can be set, and belong to a device of the document', () => {
    expect(
      found(`core/somaxconn:77
ipv4/tcp_ehash_entries:8
ipv6/conf/eth0/hop_limit:64
ipv6/conf/eth1/hop_limit:7
ipv6/conf/eth0/mtu:1400`),
    ).toEqual({ 'net/core/somaxconn': '77' });
    expect(found('ipv6/conf/eth0/mtu:1300')).toEqual({ 'net/ipv6/conf/eth0/mtu': '1300' });
  });

  test('are carried although equal when the host gives them, or another sets them', () => {
    expect(found('ipv4/tcp_rmem:1 2 3')).toEqual({ 'net/ipv4/tcp_rmem': '1 2 3' });
    expect(found('ipv6/conf/all/forwarding:1\nipv6/conf/eth0/forwarding:0')).toEqual({
      'net/ipv6/conf/all/forwarding': '1',
      'net/ipv6/conf/eth0/forwarding': '0',
    });
  });

  test('are written wide to narrow, inherited ones only where the kernel has them', () => {
    const lines = sysctlLines({
      'net/ipv4/conf/eth0/forwarding': '0',
      'net/ipv4/conf/all/accept_redirects': '1',
      'net/ipv4/conf/all/forwarding': '1',
      'net/ipv4/conf/default/rp_filter': '2',
      'net/ipv4/ip_forward': '1',
      'net/ipv6/conf/eth0.7/hop_limit': '9',
    });
    expect(lines).toEqual([
      '-net/ipv4/ip_forward=1',
      '-net/ipv4/conf/all/forwarding=1',
      '-net/ipv4/conf/all/accept_redirects=1',
      '-net/ipv4/conf/default/rp_filter=2',
      '-net/ipv4/conf/eth0/forwarding=0',
      'net/ipv6/conf/eth0.7/hop_limit=9',
    ]);
  });
});

describe('differences', () => {
  const changed = (change: Partial<NetworkState>) => diffNetwork(state, { ...state, ...change });
  const nft = readNftTables(ruleset, []);

  test('are none between equal documents', () => {
    expect(changed({ warnings: ['seen'] })).toEqual([]);
  });

  test('are one line each', () => {
    const [first, ...rest] = state.addresses;
    if (first === undefined) throw new Error('no address');
    expect(
      changed({
        links: state.links.map((link) => ({ ...link, mtu: 9 })),
        addresses: rest,
        routes: [...state.routes, ...state.routes.slice(0, 1)],
        sysctls: { 'net/core/somaxconn': '77', 'net/ipv4/conf/all/rp_filter': '2' },
        nft,
      }),
    ).toEqual([
      'link lo: mtu 65536 wanted, 9 found',
      'link eth0: mtu 1500 wanted, 9 found',
      'address 127.0.0.1/8 on lo, scope 254: missing',
      expect.stringMatching(/^route unicast default .*via 10.77.0.1 .*: not wanted, but there/),
      'nft table ip nat: not wanted, but there',
      'nft table inet web: not wanted, but there',
      "sysctl net/core/somaxconn: a new namespace's wanted, 77 found",
    ]);
  });

  test('of addresses are none where only devices come in another order', () => {
    const lastFirst = [...state.addresses.slice(2), ...state.addresses.slice(0, 2)];
    expect(changed({ addresses: lastFirst })).toEqual([]);
    expect(changed({ addresses: [...state.addresses].reverse() })).toHaveLength(1);
  });

  test('of nft are none for what traffic counts, and by outline between versions', () => {
    const wanted = { ...state, nft, nftVersion: 'v1.0.6' };
    const with_ = (from: string, to: string, nftVersion = 'v1.0.6') =>
      diffNetwork(wanted, {
        ...state,
        nftVersion,
        nft: readNftTables(ruleset.replace(from, to), []),
      });
    expect(with_('packets 7 bytes 700', 'packets 8 bytes 800')).toEqual([]);
    expect(with_('expires 59m59s', 'expires 58s')).toEqual([]);
    expect(with_('@seen accept', '@seen drop')).toHaveLength(2);
    expect(with_('@seen accept', '@seen drop', 'v1.1.3')).toEqual([]);
    expect(with_('\t\tip saddr', '\t\tdrop\n\t\tip saddr', 'v1.1.3')).toHaveLength(2);
  });
});
