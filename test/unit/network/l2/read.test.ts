import { describe, expect, test } from 'vitest';
import { addressLines, readAddresses } from '../../../../src/network/l2/addresses.ts';
import { readLinks } from '../../../../src/network/l2/links.ts';
import { nftLines, readNftTables } from '../../../../src/network/l2/nft.ts';
import { readRoutes, routeLines } from '../../../../src/network/l2/routes.ts';
import { readRules, ruleText } from '../../../../src/network/l2/rules.ts';
import {
  addresses4,
  addresses6,
  connected4,
  eth0,
  lo,
  routes4,
  rules4,
  ruleset,
} from './recorded.ts';

const nothing = new Set<string>();

describe('links', () => {
  test('are read without what the kernel decides', () => {
    const { links, warnings } = readLinks([lo, eth0], []);
    expect(warnings).toEqual([]);
    expect(links.map((link) => [link.name, link.kind, link.mac, link.group])).toEqual([
      ['lo', 'lo', undefined, 0],
      ['eth0', 'veth', '56:51:88:8b:fc:47', 7],
    ]);
  });

  test.each([
    [{ ifname: 'enp1s0', linkinfo: undefined }, 'device enp1s0 is a physical device'],
    [{ ifname: 'wg0', linkinfo: { info_kind: 'wireguard' } }, 'device wg0 is of kind wireguard'],
    [{ ifname: 'tunl0', linkinfo: { info_kind: 'ipip' } }, 'device tunl0 is of kind ipip'],
    [{ ifname: 'a"b' }, 'device a"b: its name'],
  ])('refuses %o', (change, message) => {
    expect(() => readLinks([lo, { ...eth0, ...change }], [])).toThrow(message);
  });

  test('leaves out fallback devices that are down, ours, and those it is told to', () => {
    const down = { flags: ['NOARP'], linkinfo: { info_kind: 'ipip' } };
    const odd = [
      { ...eth0, ...down, ifname: 'tunl0' },
      { ...eth0, ifname: 'mgh0', linkinfo: { info_kind: 'ifb' } },
      { ...eth0, ifname: 'dummy0', linkinfo: { info_kind: 'dummy' } },
    ];
    const { links, ignored } = readLinks([lo, ...odd], ['dummy0']);
    expect(links.map((link) => link.name)).toEqual(['lo']);
    expect([...ignored]).toEqual(['tunl0', 'mgh0', 'dummy0']);
  });

  test('name what they carry beyond the document', () => {
    const { warnings } = readLinks(
      [{ ...eth0, qdisc: 'tbf', altnames: ['wan'], ifalias: '#' }],
      [],
    );
    expect(warnings).toEqual([
      'link eth0: alias is not carried, its characters',
      'link eth0: queueing discipline tbf is not carried',
      'link eth0: other names (wan) are not carried',
    ]);
  });
});

describe('addresses', () => {
  test('keep their order, label and flags; a lifetime is named', () => {
    const { addresses, secondary, warnings } = readAddresses(addresses4, nothing);
    expect(addresses.map(({ address, peer, label }) => [address, peer, label])).toEqual([
      ['10.5.0.2', undefined, undefined],
      ['10.50.0.1', '10.50.0.2', undefined],
      ['10.51.0.1', undefined, undefined],
      ['10.5.0.3', undefined, 'eth0:x'],
    ]);
    expect([...secondary].map(({ address }) => address)).toEqual(['10.5.0.3']);
    expect(warnings).toHaveLength(1);
    expect(readAddresses(addresses4, new Set(['eth0'])).addresses).toEqual([]);
  });

  test('IPv6 is added last to first, without duplicate detection', () => {
    const { addresses } = readAddresses(addresses6, nothing);
    const link = readLinks([eth0], []).links[0];
    if (link === undefined) throw new Error('no link');
    expect(addressLines(link, addresses)).toEqual([
      'addr flush dev eth0',
      'addr add fe80::5451:88ff:fe8b:fc47/64 dev eth0 nodad',
      'addr add fd55::2/64 dev eth0 nodad',
      'addr add fd56::2/64 dev eth0 preferred_lft 0 noprefixroute nodad',
    ]);
  });

  test('what lo has by itself is neither added nor left when it is unwanted', () => {
    const link = readLinks([lo], []).links[0];
    if (link === undefined) throw new Error('no link');
    expect(addressLines(link, [])).toEqual([
      'addr flush dev lo to 127.0.0.1',
      'addr flush dev lo to ::1',
    ]);
    const own = {
      link: 'lo',
      family: 4,
      address: '127.0.0.1',
      prefixLength: 8,
      scope: 254,
    } as const;
    expect(addressLines(link, [own])).toEqual(['addr flush dev lo to ::1']);
  });
});

describe('routes', () => {
  const { links, ignored } = readLinks([lo, eth0], []);
  const context = { links, ignored, ...readAddresses(addresses4, nothing) };

  test('that the addresses explain are left out, others are kept', () => {
    const { routes, warnings } = readRoutes([...connected4, ...routes4], 4, context);
    expect(warnings).toEqual([]);
    expect(routes.map((route) => route.destination)).toEqual([
      '10.4.0.0/16',
      'default',
      '169.254.1.1',
      '10.7.0.0/16',
      '10.9.0.0/16',
    ]);
  });

  test('of the kernel that no address explains are kept, missing ones are named', () => {
    const strange = { ...connected4[0], dst: '10.66.0.0/24' };
    const { routes, warnings } = readRoutes([...connected4.slice(1), strange], 4, context);
    expect(routes.map((route) => [route.destination, route.protocol])).toEqual([
      ['10.66.0.0/24', 2],
    ]);
    expect(warnings).toEqual([
      'route to the subnet of 10.5.0.2/24 on eth0 was removed by hand ' +
        'and comes back with its address',
    ]);
  });

  test('are added so that a gateway can be reached when it is named', () => {
    const { routes } = readRoutes([...connected4, ...routes4], 4, context);
    expect(routeLines(routes)).toEqual([
      'route add unicast 169.254.1.1 table 254 proto 3 scope 253 dev eth0',
      'route add unicast 10.4.0.0/16 tos 0x10 table 77 proto 4 scope 0 mtu 1300 initcwnd 20 ' +
        'congctl cubic via 10.5.0.1 dev eth0',
      'route add unicast default table 254 proto 3 scope 0 metric 100 via 169.254.1.1 dev eth0',
      'route add blackhole 10.7.0.0/16 table 254 proto 3 scope 0',
      'route add unicast 10.9.0.0/16 table 254 proto 3 scope 0 nexthop via 10.5.0.1 dev eth0 ' +
        'weight 2 nexthop via inet6 fe80::1 dev eth0 onlink weight 3',
    ]);
    expect(routeLines([...routes.slice(0, 1), ...routes.slice(0, 1)])[1]).toMatch(/^route append/);
  });

  test('that say more than the document can are refused', () => {
    const mpls = { ...routes4[0], encap: 'mpls', dst: '10.1.0.0/16' };
    expect(() => readRoutes([mpls], 4, context)).toThrow(/route 10.1.0.0\/16: .*encap/);
  });
});

describe('rules', () => {
  test('differ from the default ones both ways', () => {
    const { rules, removedRules } = readRules(rules4, 4);
    expect(removedRules).toEqual([{ family: 4, priority: 32_767, table: 253 }]);
    expect(rules.map(ruleText)).toEqual([
      'not from 10.0.0.0/8 priority 998 protocol 0 tos 0x10 ipproto 6 sport 80-80 table 500 ' +
        'suppress_prefixlength 0',
      'from all priority 999 protocol 0 fwmark 0x7/0xff iif eth0 dport 80-90 uidrange 0-10 ' +
        'blackhole',
    ]);
  });

  test('with a selector that is not known are refused', () => {
    const odd = { priority: 7, src: 'all', table: '1', protocol: '0', dscp: '0x1' };
    expect(() => readRules([odd], 4)).toThrow(/rule 7: .*dscp/);
  });
});

describe('nft', () => {
  test('is split into tables, ours and ignored ones left out', () => {
    const names = (ignore: string[]) => readNftTables(ruleset, ignore).map((table) => table.name);
    expect(names([])).toEqual(['nat', 'web']);
    expect(names(['nat'])).toEqual(['web']);
    expect(names(['inet web', 'ip6 nat'])).toEqual(['nat']);
    expect(readNftTables(ruleset, [])[0]?.text).toContain('packets 7 bytes 700');
  });

  test('goes back as it came, each table in place of its namesake', () => {
    const [nat] = readNftTables(ruleset, []);
    if (nat === undefined) throw new Error('no table');
    const lines = nftLines([nat]);
    expect(lines.slice(0, 3)).toEqual(['table ip nat', 'delete table ip nat', 'table ip nat {']);
    expect(ruleset).toContain(lines.slice(2).join('\n'));
  });

  test.each([
    'table ip x {\n}\nflush ruleset\n}',
    'table ip x {\n\tinclude "/etc/shadow"\n}',
    'table ip y {\n}',
    'flush ruleset',
  ])('from outside may be one table only: %j', (text) => {
    expect(() => nftLines([{ family: 'ip', name: 'x', text }])).toThrow('more than a table');
  });

  test('with iptables extensions is refused', () => {
    const text = 'table ip f {\n\tchain c {\n\t\txt match "recent" drop\n\t}\n}\n';
    expect(() => readNftTables(text, [])).toThrow('iptables extension');
  });
});
