import type { KindFixture } from './link-kind-fixture.ts';

const parent = ['link add p0 type veth peer name p1', 'link set p0 up'];
const twoPorts = [
  'link add p0 type veth peer name p1',
  'link add p2 type veth peer name p3',
  'link set p1 up',
  'link set p3 up',
];
const sources = ['02:00:00:00:00:01', '02:00:00:00:00:02', '02:00:00:00:00:03'];

const bridgeOptions = [
  'forward_delay 400 hello_time 300 max_age 1100 ageing_time 12300 stp_state 0 priority 4096',
  'group_fwd_mask 16 group_address 01:80:c2:00:00:04 no_linklocal_learn 1',
].join(' ');

const bridgeVlans = [
  'vlan_filtering 1 vlan_protocol 802.1ad vlan_default_pvid 7 vlan_stats_enabled 1',
  'vlan_stats_per_port 1 mcast_vlan_snooping 1',
].join(' ');

const bridgeMulticast = [
  'mcast_snooping 1 mcast_router 2 mcast_query_use_ifaddr 1 mcast_querier 1 mcast_hash_max 1024',
  'mcast_last_member_count 5 mcast_startup_query_count 4 mcast_last_member_interval 200',
  'mcast_membership_interval 30000 mcast_querier_interval 20000 mcast_query_interval 10000',
  'mcast_query_response_interval 900 mcast_startup_query_interval 4000 mcast_stats_enabled 1',
  'mcast_igmp_version 3 mcast_mld_version 2',
].join(' ');

const netfilter = 'nf_call_iptables 1 nf_call_ip6tables 1 nf_call_arptables 1';

const vlanBridge = {
  line: 'link add t0 type bridge vlan_filtering 1',
  feature: 'VLANs in bridges',
};

const bridgePort = [
  'cost 17 priority 9 hairpin on guard on root_block on fastleave on learning on flood off',
  'proxy_arp on proxy_arp_wifi on mcast_router 2 mcast_flood off mcast_to_unicast on',
  'group_fwd_mask 8 neigh_suppress on isolated on backup_port p2',
].join(' ');

export const deviceFixtures: readonly KindFixture[] = [
  { kind: 'veth', what: 'one end of a pair', make: 'link add t0 type veth peer name t1' },
  { kind: 'dummy', what: 'plain', make: 'link add t0 type dummy' },
  { kind: 'ifb', what: 'plain', make: 'link add t0 type ifb' },
  { kind: 'bridge', what: 'as it is when nothing is said', make: 'link add t0 type bridge' },
  {
    kind: 'bridge',
    what: 'delays, priority, groups',
    make: `link add t0 type bridge ${bridgeOptions}`,
    data: { forwardDelay: 400, priority: 4096, booleans: 1 },
  },
  {
    kind: 'bridge',
    what: 'multicast',
    make: `link add t0 type bridge ${bridgeMulticast}`,
    data: { mcastRouter: 2, mcastIgmpVersion: 3, mcastHashMax: 1024 },
  },
  {
    kind: 'bridge',
    what: 'through iptables',
    make: `link add t0 type bridge ${netfilter}`,
    needs: {
      line: `link add t0 type bridge ${netfilter}`,
      feature: 'bridges that call iptables',
    },
    data: { callIptables: 1, callIp6tables: 1, callArptables: 1 },
  },
  {
    kind: 'bridge',
    what: 'VLANs',
    make: `link add t0 type bridge ${bridgeVlans}`,
    needs: vlanBridge,
    data: { vlanDefaultPvid: 7, booleans: 2, vlanProtocol: 0x88a8 },
  },
  {
    kind: 'bridge',
    what: 'a spanning tree for each VLAN',
    make: 'link add t0 type bridge vlan_filtering 1 vlan_default_pvid 0',
    after: ['link set t0 type bridge mst_enabled 1', 'link set t0 type bridge vlan_default_pvid 9'],
    needs: vlanBridge,
    data: { vlanDefaultPvid: 9, booleans: 4 },
  },
  {
    kind: 'bridge',
    what: 'every option of a port, one of which names another port',
    before: twoPorts,
    make: 'link add t0 type bridge',
    after: [
      'link set p0 master t0',
      'link set p2 master t0',
      `link set p0 type bridge_slave ${bridgePort}`,
    ],
    ports: ['p0', 'p2'],
    portData: [{ cost: 17, priority: 9, backupPort: 'p2', isolated: 1, hairpin: 1 }],
  },
  {
    kind: 'bridge',
    what: 'a port that maps VLANs to tunnels',
    before: twoPorts,
    make: 'link add t0 type bridge vlan_filtering 1',
    after: ['link set p0 master t0', 'link set p0 type bridge_slave vlan_tunnel on'],
    needs: vlanBridge,
    ports: ['p0'],
    portData: [{ vlanTunnel: 1 }],
  },
  {
    kind: 'macvlan',
    what: 'mode bridge, without promiscuity of its parent',
    before: parent,
    make: 'link add t0 link p0 type macvlan mode bridge bcqueuelen 2000',
    data: { mode: 'bridge', broadcastQueueLength: 2000 },
  },
  {
    kind: 'macvlan',
    what: 'mode source with addresses',
    before: parent,
    make: 'link add t0 link p0 type macvlan mode source nodst',
    after: sources.map((mac) => `link set t0 type macvlan macaddr add ${mac}`),
    data: { mode: 'source', sources, flags: 2 },
  },
  {
    kind: 'macvlan',
    what: 'mode passthru',
    before: parent,
    make: 'link add t0 link p0 type macvlan mode passthru nopromisc',
    data: { mode: 'passthru', flags: 1 },
  },
  {
    kind: 'macvtap',
    what: 'mode vepa',
    before: parent,
    make: 'link add t0 link p0 type macvtap mode vepa',
    data: { mode: 'vepa' },
  },
  {
    kind: 'ipvlan',
    what: 'mode l3s, private',
    before: parent,
    make: 'link add t0 link p0 type ipvlan mode l3s private',
    data: { mode: 'l3s', flags: 1 },
  },
  {
    kind: 'ipvtap',
    what: 'mode l2, vepa',
    before: parent,
    make: 'link add t0 link p0 type ipvtap mode l2 vepa',
    data: { mode: 'l2', flags: 2 },
  },
  {
    kind: 'vlan',
    what: 'flags and priority maps of both directions',
    before: parent,
    make: [
      'link add t0 link p0 type vlan protocol 802.1ad id 77 reorder_hdr off loose_binding on',
      'ingress-qos-map 1:2 3:4 egress-qos-map 5:6 2:3',
    ].join(' '),
    data: {
      id: 77,
      protocol: 0x88a8,
      flags: 4,
      ingress: [
        { from: 1, to: 2 },
        { from: 3, to: 4 },
      ],
      egress: [
        { from: 2, to: 3 },
        { from: 5, to: 6 },
      ],
    },
  },
  {
    kind: 'vrf',
    what: 'a table',
    before: parent,
    make: 'link add t0 type vrf table 4242',
    data: { table: 4242 },
  },
  {
    kind: 'bond',
    what: 'active-backup by ARP, with its primary and priorities of ports',
    before: twoPorts,
    make: [
      'link add t0 type bond mode active-backup arp_interval 250',
      'arp_ip_target 10.0.0.1,10.0.0.2 ns_ip6_target fd00::1,fd00::2 arp_validate all',
      'arp_all_targets all arp_missed_max 4 primary_reselect better fail_over_mac active',
      'resend_igmp 3 num_grat_arp 4 all_slaves_active 1 min_links 1 lp_interval 9',
    ].join(' '),
    after: [
      'link set p0 master t0',
      'link set p2 master t0',
      'link set t0 type bond primary p2',
      'link set p0 type bond_slave queue_id 3 prio -5',
      'link set t0 up',
    ],
    data: {
      mode: 'active-backup',
      primary: 'p2',
      arpTargets: ['10.0.0.1', '10.0.0.2'],
      targets6: ['fd00::1', 'fd00::2'],
      missedMax: 4,
    },
    ports: ['p0', 'p2'],
    portData: [{ queueId: 3, priority: -5 }],
    isChangeable: false,
  },
  {
    kind: 'bond',
    what: '802.3ad by carrier',
    make: [
      'link add t0 type bond mode 802.3ad miimon 100 updelay 200 downdelay 300',
      'peer_notify_delay 500 lacp_rate fast ad_select bandwidth xmit_hash_policy layer3+4',
      'ad_actor_sys_prio 77 ad_user_port_key 55 ad_actor_system 02:00:00:00:00:77',
      'lacp_active off min_links 2 coupled_control off',
    ].join(' '),
    data: {
      mode: '802.3ad',
      upDelay: 200,
      peerNotificationDelay: 500,
      actorSystem: '02:00:00:00:00:77',
      lacpActive: 0,
      coupledControl: 0,
    },
  },
  ...['balance-rr', 'balance-xor', 'broadcast', 'balance-tlb', 'balance-alb'].map((mode) => ({
    kind: 'bond',
    what: `mode ${mode}, as it is when nothing else is said`,
    make: `link add t0 type bond mode ${mode}`,
    data: { mode },
  })),
  {
    kind: 'tun',
    what: 'a tap of a user, with several queues',
    make: 'tuntap add dev t0 mode tap user 1234 group 4321 multi_queue vnet_hdr',
    data: {
      type: 'tap',
      owner: 1234,
      group: 4321,
      multiQueue: 1,
      virtioHeader: 1,
      packetInformation: 0,
      persistent: 1,
    },
  },
  {
    kind: 'tun',
    what: 'a tun of nobody, with packet information',
    make: 'tuntap add dev t0 mode tun pi',
    data: { type: 'tun', packetInformation: 1, persistent: 1 },
  },
];
