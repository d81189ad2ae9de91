import { release } from 'node:os';
import { createNetns, removeNetns } from '../../src/network/l2/namespace.ts';
import { addresses } from '../../src/network/l2/objects/addresses.ts';
import { neighbours } from '../../src/network/l2/objects/neighbours.ts';
import { nexthops } from '../../src/network/l2/objects/nexthops.ts';
import { routes } from '../../src/network/l2/objects/routes.ts';
import { rules } from '../../src/network/l2/objects/rules.ts';
import type { Case } from '../support/cases.ts';
import { readAll, type Sections, withSpace } from '../support/settle.ts';
import { equal, roundTrip } from '../support/two-namespaces.ts';

const alike = [
  ['ip', '-d', 'addr'],
  ['ip', '-d', 'route', 'show', 'table', 'all'],
  ['ip', '-6', '-d', 'route', 'show', 'table', 'all'],
  ['ip', 'nexthop'],
  ['ip', 'rule'],
  ['ip', '-6', 'rule'],
] as const;

const sections: Sections = { addresses, nexthops, routes, rules, neighbours };

/** `uname -r` begins with the two numbers of a version. */
function kernelBefore(major: number, minor: number): boolean {
  const [own = 0, next = 0] = release().split('.').map(Number);
  return own < major || (own === major && next < minor);
}

const pairs = `
  link add e0 address 02:00:00:00:00:01 type veth peer name f0 address 02:00:00:00:01:01
  link add e1 address 02:00:00:00:00:02 type veth peer name f1 address 02:00:00:00:01:02
  link set e0 up
  link set e1 up
  link set f0 up
  link set f1 up
  link set lo up
`;

export const cases: readonly Case[] = [
  {
    name: 'addresses arrive in their order: primary, secondary, scopes, peers, labels, lifetimes',
    run: () => {
      roundTrip(sections, {
        links: pairs,
        alike,
        ip: `
          addr add 10.1.0.1/24 brd + dev e0
          addr add 10.1.0.3/24 dev e0 label e0:x
          addr add 10.1.0.2/24 dev e0
          addr add 10.2.0.1/24 dev e0 scope link
          addr add 10.3.0.1/24 dev e0 scope host
          addr add 10.4.0.1 peer 10.4.0.9/32 dev e0
          addr add 10.5.0.1/24 dev e0 noprefixroute metric 77
          addr add 10.6.0.1/24 dev e0 metric 78
          addr add 10.7.0.1/24 dev e0 valid_lft 3000 preferred_lft 2000
          addr add 10.8.0.1/24 dev e0 valid_lft 3000 preferred_lft 0
          addr add 239.1.2.3/32 dev e1 autojoin
          addr add 2001:db8:1::1/64 dev e0
          addr add 2001:db8:1::3/64 dev e0
          addr add 2001:db8:1::2/64 dev e0 nodad
          addr add fc00::5/64 dev e0 noprefixroute
          addr add fe80::5/64 dev e0
          addr add 2001:db8:2::1 peer 2001:db8:2::9/128 dev e0
          addr add 2001:db8:3::1/64 dev e0 valid_lft 3000 preferred_lft 0
          addr add 2001:db8:4::1/64 dev e0 metric 79
          addr add ff15::99/128 dev e1 autojoin
          addr add 2001:db8:5::1/64 dev e1 home
          addr add ::2/128 dev lo
        `,
      });
    },
  },
  {
    name: 'addresses and routes of the kernel that somebody removed stay away',
    run: () => {
      roundTrip(
        sections,
        {
          links: pairs,
          alike,
          ip: `
            addr add 10.1.0.1/24 dev e0
            addr add 10.1.0.2/24 dev e0
            addr add 2001:db8::1/64 dev e0
            addr del 127.0.0.1/8 dev lo
            addr del fe80::ff:fe00:2/64 dev e1
            route del 10.1.0.0/24 dev e0
            route del local 10.1.0.2 dev e0 table local
            route del broadcast 10.1.0.255 dev e0 table local
            route del 2001:db8::/64 dev e0
            route del ff00::/8 dev e1 table local
          `,
        },
        ({ show }) => {
          equal(show('ip', 'addr', 'show', 'dev', 'lo').includes('127.0.0.1'), false);
        },
      );
    },
  },
  {
    name: 'IPv4 routes arrive: types, metrics, gateways of both families, multipath, onlink, tables',
    run: () => {
      roundTrip(sections, {
        links: pairs,
        alike,
        ip: `
          addr add 10.1.0.1/24 dev e0
          addr add 10.2.0.1/24 dev e1
          route add default via 10.1.0.254
          route add default via 10.2.0.254 metric 100
          route append default via 10.2.0.253 metric 100
          route append default dev e1 metric 100
          route add 10.8.0.0/16 via 10.1.0.7 src 10.1.0.1 mtu lock 1400 advmss 1300 initcwnd 20
          route add 10.10.0.0/16 via 10.1.0.7 rto_min 30ms features ecn congctl lock reno quickack 1
          route add 10.11.0.0/16 via inet6 fe80::9 dev e0
          route add 10.12.0.0/16 via 192.0.2.1 dev e0 onlink
          route add 10.13.0.0/16 nexthop via 10.1.0.7 weight 3 nexthop via 10.2.0.8 weight 200
          route add 10.14.0.0/16 nexthop via inet6 fe80::9 dev e0 nexthop via 10.2.0.8 dev e1 onlink
          route add 10.15.0.0/16 tos 0x10 via 10.1.0.7 realm 3/4
          route add blackhole 10.16.0.0/16
          route add unreachable 10.17.0.0/16 metric 5
          route add prohibit 10.18.0.0/16 table 77
          route add throw 10.19.0.0/16 table 100000
          route add local 10.20.0.0/16 dev lo
          route add broadcast 10.21.0.255 dev e0
          route add multicast 239.0.0.0/8 dev e0
          route add 10.22.0.0/16 dev e0 scope host
          route add 10.23.0.0/16 dev e0 proto bird
          route add 10.24.0.0/16 via 10.1.0.7 table local
        `,
      });
    },
  },
  {
    name: 'IPv6 routes arrive: types, preferences, expiry, source prefixes, multipath, the same twice',
    run: () => {
      roundTrip(sections, {
        links: pairs,
        alike,
        ip: `
          addr add 2001:db8:1::1/64 dev e0 nodad
          addr add 2001:db8:2::1/64 dev e1 nodad
          route add default via fe80::1 dev e0 pref high
          route add default via fe80::2 dev e1 metric 50 pref low expires 900
          route add 2001:db8:9::/48 via 2001:db8:1::9 from 2001:db8:1::/64
          route add 2001:db8:a::/48 nexthop via fe80::1 dev e0 weight 2 nexthop via fe80::2 dev e1
          route add 2001:db8:b::/48 via fe80::1 dev e0
          route append 2001:db8:b::/48 via fe80::2 dev e1
          route add 2001:db8:c::/48 dev e0
          route append 2001:db8:c::/48 dev e1
          route add blackhole 2001:db8:d::/48
          route add unreachable 2001:db8:e::/48 metric 5
          route add prohibit 2001:db8:f::/48 table 77
          route add throw 2001:db8:10::/48 table 100000
          route add local 2001:db8:11::/48 dev lo
          route add anycast 2001:db8:12::1/128 dev e0
          route add multicast ff15::/16 dev e0 table local
          route add 2001:db8:13::/48 via 2001:db8:99::1 dev e0 onlink
          route add 2001:db8:14::/48 via fe80::1 dev e0 mtu 1300 hoplimit 9 src 2001:db8:1::1
          route add 2001:db8:15::/48 dev e0 metric 256 proto ra
        `,
      });
    },
  },
  {
    name: 'encapsulations of routes arrive: SRv6 by header, as an end, IP tunnels by metadata',
    run: () => {
      roundTrip(sections, {
        links: pairs,
        alike,
        ip: `
          addr add 2001:db8:1::1/64 dev e0
          addr add 10.1.0.1/24 dev e0
          route add 2001:db8:20::/48 encap seg6 mode encap segs fc00::1,fc00::2 dev e0
          route add 2001:db8:21::/48 encap seg6 mode inline segs fc00::3 dev e0
          route add 2001:db8:22::/48 encap seg6local action End.DX6 nh6 fe80::9 dev e0
          route add 10.30.0.0/16 encap seg6 mode encap segs fc00::1 dev e0
          route add 10.31.0.0/16 encap ip id 7 dst 192.0.2.7 ttl 9 tos 4 dev e0
          route add 10.32.0.0/16 nexthop encap ip id 8 dst 192.0.2.8 via 10.1.0.8 dev e0 \
            nexthop via 10.1.0.9 dev e0
          route add 2001:db8:23::/48 encap ip6 id 9 dst 2001:db8::7 hoplimit 9 dev e0
        `,
      });
    },
  },
  {
    name: 'nexthop objects arrive with their numbers, groups after their members, and routes by them',
    run: () => {
      roundTrip(
        sections,
        {
          links: pairs,
          alike,
          ip: `
            addr add 10.1.0.1/24 dev e0
            addr add 2001:db8:1::1/64 dev e0
            nexthop add id 100 via 10.1.0.7 dev e0
            nexthop add id 7 via 10.1.0.8 dev e0 protocol bird
            nexthop add id 8 dev e1
            nexthop add id 9 via fe80::9 dev e0
            nexthop add id 10 via 192.0.2.1 dev e0 onlink
            nexthop add id 11 blackhole
            nexthop add id 12 encap seg6 mode encap segs fc00::1 dev e0
            nexthop add id 2 group 7,3/100,200
            nexthop add id 3 group 7/100 type resilient buckets 16 idle_timer 60 \
              unbalanced_timer 300
            nexthop add id 13 via 10.9.0.1 fdb
            nexthop add id 4 group 13 fdb
            -6 nexthop add id 14 blackhole
            route add 10.40.0.0/16 nhid 2
            route add 10.41.0.0/16 nhid 9
            route add 10.42.0.0/16 nhid 11
            route add 10.43.0.0/16 nhid 3
            route add 10.44.0.0/16 nhid 7 mtu 1300
            -6 route add 2001:db8:40::/48 nhid 9
            -6 route add 2001:db8:41::/48 nhid 14
          `,
        },
        ({ documents }) => {
          equal(documents.nexthops?.length, 12);
        },
      );
    },
  },
  {
    name: 'rules arrive in order, those of one priority too, gotos without a target, none of the usual',
    run: () => {
      roundTrip(sections, {
        links: pairs,
        alike,
        ip: `
          rule del pref 0
          rule add pref 5 lookup local
          rule add pref 10 from 10.0.0.0/8 to 10.1.0.0/16 lookup 100
          rule add pref 10 from all lookup 99
          rule add pref 10 from 9.0.0.0/8 lookup 98
          rule add pref 11 fwmark 0x10/0xf0 lookup 97
          rule add pref 12 iif e0 oif gone lookup 96
          rule add pref 13 goto 5000
          rule add pref 14 goto 32766
          rule add pref 15 tos 0x10 blackhole
          rule add pref 16 unreachable
          rule add pref 17 prohibit
          rule add pref 18 nop
          rule add pref 19 not from 10.0.0.0/8 lookup 95 suppress_prefixlength 0
          rule add pref 20 lookup 94 suppress_ifgroup 7
          rule add pref 21 uidrange 1000-1999 lookup 93
          rule add pref 22 ipproto tcp sport 80 dport 1000-2000 lookup 92
          rule add pref 23 lookup 91 realms 3/4
          rule add pref 24 tun_id 77 lookup 90
          rule add pref 25 l3mdev
          rule add pref 26 lookup 89 protocol bird
          rule del pref 32767
          -6 rule del pref 32766
          -6 rule add pref 10 from 2001:db8::/32 lookup 100
          -6 rule add pref 10 to 2001:db8::/32 lookup 99
          -6 rule add pref 11 tos 0x10 goto 99
        `,
      });
    },
  },
  {
    name: 'neighbours that somebody set arrive: permanent, proxies, routers, of an outside learner',
    run: () => {
      roundTrip(
        sections,
        {
          links: pairs,
          alike,
          ip: `
            addr add 10.1.0.1/24 dev e0
            neigh add 10.1.0.9 lladdr 02:00:00:00:00:09 dev e0
            neigh add 10.1.0.10 lladdr 02:00:00:00:00:0a dev e0 extern_learn
            neigh add 10.1.0.11 lladdr 02:00:00:00:00:0b dev e0 nud stale extern_learn
            neigh add 10.1.0.12 lladdr 02:00:00:00:00:0c dev e0 nud reachable
            neigh add 10.1.0.13 lladdr 02:00:00:00:00:0d dev e0 protocol bird
            neigh add 10.1.0.14 dev e0 managed
            neigh add 10.1.0.15 dev e0 managed extern_learn
            neigh add 10.1.0.16 lladdr 02:00:00:00:00:10 dev e0 nud noarp extern_learn
            neigh add proxy 10.1.0.20 dev e0
            neigh add proxy 10.1.0.21 dev e0 protocol bird
            neigh add 2001:db8::9 lladdr 02:00:00:00:00:09 dev e0 router
            neigh add proxy 2001:db8::20 dev e0
            neigh add proxy 2001:db8::21 dev e0 router
          `,
        },
        ({ documents }) => {
          equal(documents.neighbours?.length, 12);
        },
      );
    },
  },
  {
    name: 'a proxy for any device does not outlive its namespace',
    run: async () => {
      const proxy = { family: 4, address: '10.1.0.77', proxy: true } as const;
      for (let turn = 0; turn < 8; turn += 1) {
        const name = `mt-${process.pid}-${turn}`;
        const { path } = await createNetns(name);
        try {
          withSpace(path, (space) => {
            equal(readAll(space, { neighbours }), { neighbours: [] });
            const [answer] = space.socket('route').send(neighbours.add(proxy, space.names));
            equal(answer?.error, undefined);
            equal(readAll(space, { neighbours }), { neighbours: [proxy] });
          });
        } finally {
          await removeNetns(name);
        }
      }
    },
  },
];

/** Cases that a distribution's kernel is too old for. */
export const recentCases: readonly Case[] = [
  {
    name: 'what ip(8) of today has no words for arrives: proxies for any device, masks in rules',
    lacks: () => (kernelBefore(6, 17) ? 'Linux 6.17' : undefined),
    run: () => {
      roundTrip(sections, {
        links: pairs,
        objects: {
          neighbours: [
            { family: 4, address: '10.1.0.30', proxy: true },
            {
              link: 'e0',
              family: 6,
              address: '2001:db8::31',
              mac: '02:00:00:00:00:31',
              externallyValidated: true,
              state: 'dynamic',
            },
          ],
          rules: [
            {
              family: 4,
              priority: 30,
              action: 'table',
              table: 88,
              ipProtocol: 6,
              sourcePorts: [0x100, 0x100],
              sourcePortMask: 0xff00,
              destinationPorts: [80, 80],
              destinationPortMask: 0xfff0,
              dscp: 8,
              dscpMask: 0x38,
            },
            {
              family: 6,
              priority: 30,
              action: 'table',
              table: 88,
              flowLabel: 0x12340,
              flowLabelMask: 0xffff0,
              dscp: 5,
            },
          ],
        },
        alike,
      });
    },
  },
];
