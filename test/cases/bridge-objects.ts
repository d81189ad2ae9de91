import { spawnSync } from 'node:child_process';
import { bridgeTrees } from '../../src/network/l2/objects/bridge-trees.ts';
import { bridgeVlanOptions } from '../../src/network/l2/objects/bridge-vlan-options.ts';
import { bridgeVlans } from '../../src/network/l2/objects/bridge-vlans.ts';
import { fdbEntries } from '../../src/network/l2/objects/fdb.ts';
import { linkGroups } from '../../src/network/l2/objects/link-groups.ts';
import { multicastGroups } from '../../src/network/l2/objects/multicast-groups.ts';
import { nexthops } from '../../src/network/l2/objects/nexthops.ts';
import { peerNamespaces } from '../../src/network/l2/objects/peer-namespaces.ts';
import type { Case } from '../support/cases.ts';
import type { Sections } from '../support/settle.ts';
import { equal, roundTrip } from '../support/two-namespaces.ts';

const sections: Sections = {
  vlans: bridgeVlans,
  vlanOptions: bridgeVlanOptions,
  trees: bridgeTrees,
  linkGroups,
  nexthops,
  fdb: fdbEntries,
  multicastGroups,
};

const alike = [
  ['bridge', '-d', 'vlan'],
  ['bridge', '-d', 'vlan', 'tunnelshow'],
  ['ip', 'nexthop'],
] as const;

const bridged = `
  link add br0 address 02:00:00:00:00:01 type bridge
  link add p0 address 02:00:00:00:00:10 type veth peer name q0
  link add p1 address 02:00:00:00:00:11 type veth peer name q1
  link set p0 master br0 up
  link set p1 master br0 up
  link set q0 up
  link set q1 up
  link set br0 up
`;

/** The kernel of this machine may be built without CONFIG_BRIDGE_VLAN_FILTERING. */
function lacksVlans(): string | undefined {
  const name = `mt-${process.pid}`;
  const ip = (...args: string[]) => spawnSync('ip', args).status;
  ip('netns', 'add', name);
  const status = ip('-n', name, 'link', 'add', 'br0', 'type', 'bridge', 'vlan_filtering', '1');
  ip('netns', 'del', name);
  return status === 0 ? undefined : 'bridges with VLAN filtering in the kernel';
}

/** Databases of VXLAN devices are known to bridge(8) since iproute2 6.3. */
function lacksVxlanGroups(): string | undefined {
  const { stderr } = spawnSync('bridge', ['mdb', 'help'], { encoding: 'utf8' });
  return stderr.includes('src_vni')
    ? undefined
    : 'bridge(8) with multicast groups of VXLAN devices';
}

const filtered = bridged.replace('type bridge', 'type bridge vlan_filtering 1');

export const cases: readonly Case[] = [
  {
    name: 'VLANs of bridges and ports arrive: pvid, untagged, ranges, tunnels, all 4,094 as one',
    lacks: lacksVlans,
    run: () => {
      roundTrip(
        sections,
        {
          links: `${filtered}
            link add vx0 type vxlan external dstport 4789
            link set vx0 master br0 up
            link set vx0 type bridge_slave vlan_tunnel on`,
          bridge: `
            vlan del dev p0 vid 1
            vlan add dev p0 vid 2-4094
            vlan add dev p0 vid 1 pvid
            vlan add dev p1 vid 10 pvid untagged
            vlan add dev p1 vid 20-29 untagged
            vlan add dev p1 vid 30-39
            vlan add dev br0 vid 10 self
            vlan add dev br0 vid 20-25 self untagged
            vlan add dev vx0 vid 100-109
            vlan add dev vx0 vid 100-109 tunnel_info id 1000-1009
            vlan add dev vx0 vid 110
            vlan add dev vx0 vid 110 tunnel_info id 77
          `,
          alike,
        },
        ({ documents, rounds }) => {
          equal(rounds, 1);
          equal(
            documents.vlans?.filter((one) => (one as { link: string }).link === 'p0').length,
            2,
          );
        },
      );
    },
  },
  {
    name: 'options of VLANs arrive: states, multicast routers, groups, intervals, spanning trees',
    lacks: lacksVlans,
    run: () => {
      roundTrip(
        sections,
        {
          links: `${filtered.replace('vlan_filtering 1', 'vlan_filtering 1 mcast_vlan_snooping 1')}
            link set p1 type bridge_slave neigh_suppress off`,
          bridge: `
            vlan add dev p0 vid 2-9
            vlan add dev br0 vid 2-9 self
            vlan set dev p0 vid 2 state blocking
            vlan set dev p0 vid 3-4 mcast_router 2
            vlan global set dev br0 vid 2 mcast_snooping 0
            vlan global set dev br0 vid 3-5 mcast_igmp_version 3 mcast_mld_version 2
            vlan global set dev br0 vid 6 mcast_querier 1 mcast_query_interval 1000
            vlan global set dev br0 vid 7 mcast_startup_query_interval 1000 \
              mcast_last_member_count 5
          `,
          alike: [...alike, ['bridge', '-d', 'vlan', 'global']],
        },
        ({ rounds }) => {
          equal(rounds, 1);
        },
      );
    },
  },
  {
    name: 'spanning trees of VLANs and the states of ports in them arrive',
    lacks: lacksVlans,
    run: () => {
      const options = 'vlan_filtering 1 vlan_default_pvid 0 mst_enabled 1';
      roundTrip(
        sections,
        {
          links: bridged.replace('type bridge', `type bridge ${options}`),
          bridge: `
            vlan add dev br0 vid 1-20 self
            vlan add dev p0 vid 1-20
            vlan add dev p1 vid 5-9
            vlan global set dev br0 vid 5-9 msti 3
            vlan global set dev br0 vid 15 msti 4
            mst set dev p0 msti 3 state learning
            mst set dev p1 msti 3 state forwarding
          `,
          alike: [...alike, ['bridge', 'mst']],
        },
        ({ documents, rounds }) => {
          equal(documents.trees?.length, 4);
          equal(rounds, 1);
        },
      );
    },
  },
  {
    name: 'FDB and MDB entries of single VLANs arrive, and none that no VLAN had',
    lacks: lacksVlans,
    run: () => {
      roundTrip(
        sections,
        {
          links: `${filtered}
            link set br0 type bridge mcast_igmp_version 3 mcast_mld_version 2`,
          bridge: `
            vlan add dev p0 vid 2-200
            vlan add dev p1 vid 5
            vlan add dev br0 vid 2-200 self
            fdb add 02:00:00:00:01:01 dev p0 master static
            fdb add 02:00:00:00:01:02 dev p0 master static vlan 7
            fdb add 02:00:00:00:01:03 dev p1 master permanent vlan 5
            fdb add 02:00:00:00:01:04 dev p1 master permanent
            fdb del 02:00:00:00:01:04 dev p1 master vlan 5
            mdb add dev br0 port p0 grp 239.1.1.1 permanent vid 7
            mdb add dev br0 port p1 grp 239.1.1.2 permanent
            mdb add dev br0 port p0 grp ff0e::1 permanent vid 8 filter_mode include source_list \
              fc00::1,fc00::2
            mdb add dev br0 port p0 grp 239.1.1.3 permanent vid 8 filter_mode exclude source_list \
              10.0.0.1 proto bird
          `,
          alike,
        },
        ({ documents, rounds }) => {
          // One address in 200 VLANs is one object, and one for the table without VLANs.
          equal(documents.fdb?.length, 6);
          equal(documents.multicastGroups?.length, 8);
          // An entry without a VLAN makes one for each VLAN: what nobody wanted goes again.
          equal(rounds, 2);
        },
      );
    },
  },
  {
    name: 'multicast groups of a VXLAN arrive, with their ends and sources',
    lacks: lacksVxlanGroups,
    run: () => {
      roundTrip(
        sections,
        {
          links: `${bridged}
            addr add 10.0.0.1/24 dev q0
            link add vx0 type vxlan external dstport 4789 local 10.0.0.1
            link set vx0 up`,
          bridge: `
            mdb add dev vx0 port vx0 grp 239.1.1.1 permanent dst 10.0.0.2 src_vni 5
            mdb add dev vx0 port vx0 grp 239.1.1.1 permanent dst 10.0.0.3 src_vni 5 vni 6 \
              dst_port 8472
            mdb add dev vx0 port vx0 grp 239.1.1.2 src 10.9.9.9 permanent dst 10.0.0.2 src_vni 5 \
              via q0
            mdb add dev vx0 port vx0 grp ff0e::1 permanent filter_mode include source_list \
              fc00::1 dst 10.0.0.2 src_vni 5
            mdb add dev vx0 port vx0 grp 0.0.0.0 permanent dst 10.0.0.9 src_vni 5
          `,
          alike: [...alike, ['bridge', '-d', 'mdb', 'show', 'dev', 'vx0']],
        },
        ({ rounds }) => {
          equal(rounds, 1);
        },
      );
    },
  },
  {
    name: 'static, permanent, sticky and externally learned FDB entries of a bridge arrive',
    run: () => {
      roundTrip(
        { fdb: fdbEntries },
        {
          links: bridged,
          bridge: `
            fdb add 02:00:00:00:01:01 dev p0 master static
            fdb add 02:00:00:00:01:02 dev p1 master permanent
            fdb add 02:00:00:00:01:03 dev p1 master static sticky
            fdb add 02:00:00:00:01:04 dev p0 master extern_learn
            fdb add 02:00:00:00:01:05 dev br0 self permanent
            fdb add 02:00:00:00:01:06 dev p0 master dynamic
            fdb add 02:00:00:00:01:07 dev q0 self permanent
          `,
        },
        ({ documents, rounds }) => {
          const macs = documents.fdb?.map((one) => (one as { mac: string }).mac);
          equal(new Set(macs).size, 6);
          equal(rounds, 1);
        },
      );
    },
  },
  {
    name: 'link-layer groups that somebody set arrive, also on bridges, and no other ones do',
    run: () => {
      roundTrip(
        { linkGroups },
        {
          links: bridged,
          ip: `
            maddr add 01:02:03:04:05:06 dev q0
            maddr add 33:33:00:00:00:99 dev br0
          `,
        },
        ({ documents, rounds }) => {
          equal(documents.linkGroups?.length, 2);
          equal(rounds, 1);
        },
      );
    },
  },
  {
    name: 'groups that IP joined are no entries of anything, however many there are',
    run: () => {
      const numbers = Array.from({ length: 200 }, (_, index) => (index + 16).toString(16));
      roundTrip(
        { fdb: fdbEntries, linkGroups },
        {
          links: `${bridged}
            ${numbers.map((id) => `addr add 2001:db8::${id}/64 dev q0 nodad`).join('\n')}`,
        },
        ({ documents }) => {
          equal(documents, { fdb: [], linkGroups: [] });
        },
      );
    },
  },
  {
    name: 'permanent multicast groups of a bridge arrive: IPv4, IPv6, link-layer, with sources',
    run: () => {
      roundTrip(
        sections,
        {
          links: `${bridged}
            link set br0 type bridge mcast_igmp_version 3 mcast_mld_version 2`,
          bridge: `
            mdb add dev br0 port p0 grp 239.1.1.1 permanent
            mdb add dev br0 port p1 grp ff0e::1 permanent
            mdb add dev br0 port p1 grp 01:02:03:04:05:06 permanent
            mdb add dev br0 port br0 grp 01:02:03:04:05:07 permanent
            mdb add dev br0 port p0 grp 239.1.1.2 src 10.0.0.1 permanent
            mdb add dev br0 port p0 grp 239.1.1.9
          `,
        },
        ({ documents, rounds, show }) => {
          equal(documents.multicastGroups?.length, 5);
          equal(rounds, 1);
          const kept = show('bridge', 'mdb')
            .split('\n')
            .filter((line) => line.endsWith('permanent'));
          equal(kept.length, 5);
        },
      );
    },
  },
  {
    name: 'FDB entries of a VXLAN arrive: ends, ports, numbers of networks, ways out, nexthops',
    run: () => {
      roundTrip(
        sections,
        {
          links: `${bridged}
            addr add 10.0.0.1/24 dev q0
            link add vx0 type vxlan id 7 dstport 4789 local 10.0.0.1
            link add vx1 type vxlan external dstport 4790
            link set vx0 up
            link set vx1 up
          `,
          ip: `
            nexthop add id 12 via 10.0.0.12 fdb
            nexthop add id 13 via 10.0.0.13 fdb
            nexthop add id 102 group 12/13 fdb
          `,
          bridge: `
            fdb append 00:00:00:00:00:00 dev vx0 dst 10.0.0.2 self permanent
            fdb append 00:00:00:00:00:00 dev vx0 dst 10.0.0.3 port 8472 self permanent
            fdb append 01:00:5e:01:01:01 dev vx0 dst 10.0.0.4 self permanent
            fdb add 02:00:00:00:01:01 dev vx0 dst 10.0.0.5 vni 9 via q0 self permanent
            fdb add 02:00:00:00:01:02 dev vx0 dst 10.0.0.6 self static
            fdb add 02:00:00:00:01:03 dev vx0 dst 10.0.0.7 self dynamic
            fdb add 02:00:00:00:01:04 dev vx0 dst 10.0.0.8 self extern_learn
            fdb add 02:00:00:00:01:05 dev vx0 nhid 102 self permanent
            fdb add 02:00:00:00:01:06 dev vx1 src_vni 5 vni 6 dst 10.0.0.9 self permanent
          `,
        },
        ({ documents, rounds, show }) => {
          equal(documents.fdb?.length, 8);
          equal(rounds, 1);
          const own = show('bridge', 'fdb')
            .split('\n')
            .filter((line) => / vx\d /.test(line));
          equal(own.length, 8);
        },
      );
    },
  },
  {
    name: "the number of the host's namespace arrives, and outside ends are seen under it",
    run: () => {
      roundTrip(
        { peerNamespaces },
        { links: '', objects: { peerNamespaces: [{ id: 7, peer: 'host' }] } },
        ({ documents, rounds, show }) => {
          equal(documents.peerNamespaces, [{ id: 7, peer: 'host' }]);
          equal(rounds, 1);
          const end = `mt${process.pid}`;
          const peer = ['peer', 'name', end, 'netns', String(process.pid)];
          show('ip', 'link', 'add', 'e0', 'type', 'veth', ...peer);
          equal(show('ip', 'link', 'show', 'e0').includes('link-netnsid 7'), true);
        },
      );
    },
  },
];
