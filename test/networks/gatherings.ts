import type { Dice } from './dice.ts';
import {
  addLink,
  type Draft,
  type DraftLink,
  freePorts,
  macFor,
  nameFor,
  type Rule,
  raise,
} from './draft.ts';

const portKinds = /^(veth|dummy|tun|vlan|vxlan|geneve|gretap|ip6gretap|bond)$/;

/** Devices that have others as their ports. */
export const gatheringRules: Readonly<Record<string, Rule>> = {
  bridge(draft, dice) {
    const name = nameFor(draft, dice, 'bridge');
    const filters = draft.has('bridge vlan') && dice.maybe(2);
    const words =
      dice.some(
        [
          'forward_delay 400',
          'hello_time 300',
          'ageing_time 12300',
          'priority 4096',
          'stp_state 1',
          'group_fwd_mask 16',
        ],
        5,
      ) +
      dice.some(
        [
          'mcast_snooping 0',
          'mcast_router 2',
          'mcast_querier 1',
          'mcast_hash_max 1024',
          'mcast_query_interval 10000',
          'mcast_igmp_version 3',
        ],
        6,
      ) +
      (filters
        ? ` vlan_filtering 1${dice.some(['vlan_protocol 802.1ad', `vlan_default_pvid ${dice.pick([7, 0])}`, 'vlan_stats_enabled 1', 'mcast_vlan_snooping 1'], 4)}`
        : '');
    const mac = dice.maybe(3) ? '' : ` address ${macFor(draft)}`;
    draft.lines.push(`ip link add ${name}${mac} type bridge${words}`);
    const ports = choosePorts(draft, dice, portKinds);
    for (const port of ports) {
      draft.lines.push(`ip link set dev ${port.name} master ${name}`);
      const options = dice.some(
        [
          'cost 17',
          'priority 9',
          'hairpin on',
          'guard on',
          'root_block on',
          'fastleave on',
          'learning off',
          'flood off',
          'mcast_flood off',
          'mcast_to_unicast on',
          'neigh_suppress on',
          'isolated on',
        ],
        8,
      );
      if (options !== '')
        draft.lines.push(`ip link set dev ${port.name} type bridge_slave${options}`);
    }
    const mtu = Math.min(...ports.map((port) => port.mtu), 1500);
    const link = addLink(draft, dice, {
      name,
      kind: 'bridge',
      mtu,
      depth: 1,
      isEthernet: true,
      filtersVlans: filters,
    });
    link.knowsGroups = !words.includes('mcast_snooping 0');
    link.lacksVlan = words.includes('vlan_default_pvid 0');
    link.hasIpv6 = mtu >= 1280;
    take(ports, link);
    raise(draft, dice, link);
  },
  bond(draft, dice) {
    const name = nameFor(draft, dice, 'bond');
    const mode = dice.pick(Object.keys(bondWords));
    const words = dice.some(
      [
        ...(bondWords[mode] ?? []),
        'xmit_hash_policy layer3+4',
        'all_slaves_active 1',
        'min_links 1',
      ],
      4,
    );
    draft.lines.push(
      `ip link add ${name} address ${macFor(draft)} type bond mode ${mode} miimon 100${words}`,
    );
    const ports = choosePorts(draft, dice, /^(veth|dummy)$/).filter(({ mtu }) => mtu >= 1280);
    for (const port of ports) {
      draft.lines.push(`ip link set dev ${port.name} down`);
      draft.lines.push(`ip link set dev ${port.name} master ${name}`);
      draft.lines.push(`ip link set dev ${port.name} up`);
      const options = dice.some([`queue_id ${draft.next('queue')}`], 4);
      if (options !== '')
        draft.lines.push(`ip link set dev ${port.name} type bond_slave${options}`);
      port.up = true;
      port.mtu = 1500;
    }
    const [first] = ports;
    if (mode === 'active-backup' && first !== undefined && dice.maybe(2)) {
      draft.lines.push(`ip link set dev ${name} type bond primary ${first.name}`);
    }
    const link = addLink(draft, dice, {
      name,
      kind: 'bond',
      depth: 1,
      isEthernet: ports.length > 0,
    });
    take(ports, link);
    raise(draft, dice, link);
  },
  vrf(draft, dice) {
    const name = nameFor(draft, dice, 'vrf');
    const table = 4000 + draft.next('vrf');
    draft.lines.push(`ip link add ${name} type vrf table ${table}`);
    const link = addLink(draft, dice, {
      name,
      kind: 'vrf',
      depth: 0,
      isEthernet: false,
      table,
      mtu: 65_575,
    });
    raise(draft, dice, link);
    const others = draft.links.filter(
      ({ kind, master, taken, name: other }) =>
        master === undefined &&
        taken === undefined &&
        other !== 'eth0' &&
        kind !== 'lo' &&
        kind !== 'vrf',
    );
    const ports = others.filter(() => dice.maybe(4));
    for (const port of ports) draft.lines.push(`ip link set dev ${port.name} master ${name}`);
    for (const port of ports) port.master = link;
  },
};

const bondWords: Readonly<Record<string, readonly string[]>> = {
  'balance-rr': ['packets_per_slave 3'],
  'active-backup': ['fail_over_mac active', 'num_grat_arp 4', 'primary_reselect better'],
  'balance-xor': [],
  broadcast: [],
  '802.3ad': ['lacp_rate fast', 'ad_select bandwidth', 'ad_user_port_key 55'],
  'balance-tlb': ['tlb_dynamic_lb 0'],
  'balance-alb': [],
};

const portsMax = 3;

function choosePorts(draft: Draft, dice: Dice, kinds: RegExp): DraftLink[] {
  const free = freePorts(draft).filter(({ kind }) => kinds.test(kind));
  return free.filter(() => dice.maybe(2)).slice(0, portsMax);
}

function take(ports: readonly DraftLink[], master: DraftLink): void {
  for (const port of ports) {
    port.master = master;
    port.taken = 'port';
  }
}
