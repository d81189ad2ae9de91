import type { LinkData } from '../../src/network/l2/kinds/kind.ts';
import type { KindFixture } from './link-kind-fixture.ts';

const parent = ['link add p0 type veth peer name p1', 'link set p0 up'];
const ends4 = 'remote 192.0.2.2 local 192.0.2.1';
const ends6 = 'remote fd00::2 local fd00::1';

const greOptions = 'ikey 11 okey 12 icsum ocsum iseq oseq dev p0 fwmark 0x99';

function gre(kind: string, what: string, options: string, data: LinkData): KindFixture {
  return { kind, what, before: parent, make: `link add t0 type ${kind} ${options}`, data };
}

export const tunnelFixtures: readonly KindFixture[] = [
  {
    kind: 'vxlan',
    what: 'a multicast group over a device',
    before: parent,
    make: [
      'link add t0 type vxlan id 42 group 239.1.1.1 local 192.0.2.1 dev p0 ttl 5 tos 16 df set',
      'srcport 40000 50000 dstport 4790 nolearning proxy rsc l2miss l3miss noudpcsum',
      'ageing 77 maxaddress 88 gbp',
    ].join(' '),
    data: {
      id: 42,
      group: '239.1.1.1',
      local: '192.0.2.1',
      link: 'p0',
      portRange: { first: 40_000, last: 50_000 },
      port: 4790,
      groupPolicy: true,
      learning: 0,
      udpChecksum: 0,
    },
  },
  {
    kind: 'vxlan',
    what: 'one IPv6 end',
    make: [
      `link add t0 type vxlan id 43 ${ends6} dstport 4789 flowlabel 0xbeef ttl inherit`,
      'udp6zerocsumtx udp6zerocsumrx remcsumtx remcsumrx ageing 300',
    ].join(' '),
    data: { group: 'fd00::2', local: 'fd00::1', flowLabel: 0xbeef, ttlInherit: true },
  },
  {
    kind: 'vxlan',
    what: 'by metadata, with the generic protocol',
    make: 'link add t0 type vxlan dstport 4790 external gpe',
    data: { metadata: 1, genericProtocol: true },
  },
  {
    kind: 'vxlan',
    what: 'by metadata, for some networks',
    make: 'link add t0 type vxlan dstport 4791 external vnifilter',
    data: { metadata: 1, vniFilter: 1 },
  },
  {
    kind: 'geneve',
    what: 'one end',
    make: 'link add t0 type geneve id 77 remote 192.0.2.2 ttl 9 tos 4 df set dstport 6082 noudpcsum',
    data: { id: 77, remote: '192.0.2.2', port: 6082, dontFragment: 1 },
  },
  {
    kind: 'geneve',
    what: 'one IPv6 end',
    make: [
      'link add t0 type geneve id 78 remote fd00::2 ttl inherit flowlabel 0x123 udp6zerocsumtx',
      'udp6zerocsumrx',
    ].join(' '),
    data: { remote6: 'fd00::2', ttlInherit: 1, flowLabel: 0x123 },
  },
  {
    kind: 'geneve',
    what: 'by metadata',
    make: 'link add t0 type geneve external',
    data: { metadata: true },
    isChangeable: false,
  },
  {
    kind: 'ipip',
    what: 'both ends, a device, a mark',
    before: parent,
    make: `link add t0 type ipip ${ends4} dev p0 ttl 7 tos 8 mode any fwmark 0x77`,
    data: { local: '192.0.2.1', remote: '192.0.2.2', link: 'p0', mark: 0x77, protocol: 0 },
  },
  {
    kind: 'ipip',
    what: 'by metadata',
    make: 'link add t0 type ipip external',
    data: { metadata: true },
    isChangeable: false,
  },
  {
    kind: 'ip6tnl',
    what: 'both ends, limits and labels',
    before: parent,
    make: [
      `link add t0 type ip6tnl ${ends6} dev p0 mode ip6ip6 hoplimit 9 encaplimit 3`,
      'tclass 0x20 flowlabel 0x5 dscp inherit fwmark 0x55',
    ].join(' '),
    data: { local: 'fd00::1', encapsulationLimit: 3, protocol: 41, mark: 0x55 },
  },
  {
    kind: 'sit',
    what: 'both ends',
    make: `link add t0 type sit ${ends4} ttl 64 tos 4 mode any fwmark 0x44`,
    data: { local: '192.0.2.1', mark: 0x44 },
  },
  {
    kind: 'sit',
    what: 'rapid deployment',
    make: 'link add t0 type sit local 192.0.2.1 ttl 64',
    after: ['tunnel 6rd dev t0 6rd-prefix fd00:1234::/32 6rd-relay_prefix 192.0.0.0/16'],
    data: { rapidPrefix: 'fd00:1234::', rapidPrefixLength: 32, rapidRelayPrefixLength: 16 },
  },
  gre('gre', 'both ends, keys, checksums, sequence numbers', `${ends4} ttl 5 ${greOptions}`, {
    inputKey: 11,
    outputKey: 12,
    inputFlags: 0xb000,
    outputFlags: 0xb000,
    link: 'p0',
    mark: 0x99,
  }),
  gre('gre', 'that may be fragmented', `${ends4} ttl 0 nopmtudisc ignore-df`, {
    pathMtuDiscovery: 0,
    ignoreDontFragment: 1,
  }),
  gre('gretap', 'both ends', `${ends4} ${greOptions} tos 4`, { inputKey: 11, tos: 4 }),
  gre('gretap', 'by metadata', 'external', { metadata: true }),
  gre('erspan', 'version 1', `${ends4} seq key 10 erspan_ver 1 erspan 123`, {
    version: 1,
    index: 123,
  }),
  gre('erspan', 'version 2', `${ends4} seq key 10 erspan_ver 2 erspan_dir egress erspan_hwid 7`, {
    version: 2,
    direction: 1,
    hardwareId: 7,
  }),
  gre('ip6gre', 'both ends', `${ends6} hoplimit 9 encaplimit 2 tclass 0x10 ${greOptions}`, {
    inputKey: 11,
    encapsulationLimit: 2,
    local: 'fd00::1',
  }),
  gre('ip6gretap', 'both ends', `${ends6} ${greOptions} flowlabel 0x77`, { inputKey: 11 }),
  gre(
    'ip6erspan',
    'version 2',
    `${ends6} seq key 9 erspan_ver 2 erspan_dir ingress erspan_hwid 3`,
    {
      version: 2,
      hardwareId: 3,
    },
  ),
  gre('vti', 'both ends', `${ends4} ikey 3 okey 4 dev p0 fwmark 0x9`, {
    inputKey: 3,
    outputKey: 4,
    mark: 9,
  }),
  gre('vti6', 'both ends', `${ends6} ikey 3 okey 4 dev p0 fwmark 0x9`, { inputKey: 3, mark: 9 }),
];
