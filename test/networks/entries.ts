import type { Dice } from './dice.ts';
import type { Draft, DraftLink, Rule } from './draft.ts';

/** Devices that can be told which groups to listen to (ndo_set_rx_mode). */
const filters = /^(veth|dummy|bridge|bond|vlan|macvlan|macvtap|tun)$/;

/** What bridges, queues, the packet filter and the kernel's knobs are told. */
export const entryRules: Readonly<Record<string, Rule>> = {
  bridgeVlan(draft, dice) {
    const place = dice.pick(withNone(portsOf(draft).filter(({ master }) => master?.filtersVlans)));
    if (place === undefined) return;
    const first = 10 * draft.next(`vlan of ${place.name}`) + dice.below(9);
    const words = dice.some(['pvid', 'untagged']);
    const range = words.includes('pvid') || dice.maybe(2) ? `${first}` : `${first}-${first + 5}`;
    draft.lines.push(`bridge vlan add dev ${place.name} vid ${range}${words}`);
    place.hasVlan = true;
  },
  bridgeSelfVlan(draft, dice) {
    const bridge = dice.pick(withNone(draft.links.filter(({ filtersVlans }) => filtersVlans)));
    if (bridge === undefined) return;
    const vlan = 100 + draft.next('self vlan');
    draft.lines.push(`bridge vlan add dev ${bridge.name} vid ${vlan} self`);
    if (dice.maybe(3)) {
      draft.lines.push(`bridge vlan global set dev ${bridge.name} vid ${vlan} mcast_snooping 0`);
    }
  },
  fdb(draft, dice) {
    const port = dice.pick(withNone(portsOf(draft)));
    if (port === undefined) return;
    const words = dice.pick(['static', 'permanent', 'static sticky', 'extern_learn']);
    draft.lines.push(`bridge fdb add ${mac(draft)} dev ${port.name} master ${words}`);
  },
  vxlanFdb(draft, dice) {
    const link = dice.pick(
      withNone(draft.links.filter(({ kind, overFamily }) => kind === 'vxlan' && overFamily === 4)),
    );
    if (link === undefined) return;
    draft.lines.push(
      `bridge fdb append ${mac(draft)} dev ${link.name} dst 192.0.2.${draft.next('remote')} vni 5 self permanent`,
    );
  },
  mdb(draft, dice) {
    const port = dice.pick(withNone(portsOf(draft).filter(canHaveGroups)));
    if (port?.master === undefined) return;
    const group = dice.pick([
      `239.2.0.${draft.next('group')}`,
      `ff15::${draft.next('group')}`,
      `239.3.0.${draft.next('group')} src 192.0.2.1`,
    ]);
    draft.lines.push(
      `bridge mdb add dev ${port.master.name} port ${port.name} grp ${group} permanent`,
    );
  },
  linkGroup(draft, dice) {
    const link = dice.pick(
      withNone(draft.links.filter(({ isEthernet, kind }) => isEthernet && filters.test(kind))),
    );
    if (link === undefined) return;
    draft.lines.push(
      `ip maddr add 33:33:00:00:01:${10 + (draft.next('maddr') % 80)} dev ${link.name}`,
    );
  },
  queue(draft, dice) {
    const link = dice.pick(withNone(draft.links.filter(({ kind }) => kind !== 'lo')));
    if (link === undefined || draft.next(`root of ${link.name}`) > 1) return;
    const dev = `dev ${link.name}`;
    const leaf = () =>
      dice.pick(
        leaves.filter((one) => draft.has(`queue ${one.split(' ')[0]}`)).concat('pfifo limit 9'),
      );
    const kind = dice.pick(
      ['', 'htb', 'prio', 'drr'].filter((one) => one === '' || draft.has(`queue ${one}`)),
    );
    const root = `tc qdisc add ${dev} root handle 1:`;
    if (kind === '') draft.lines.push(`${root} ${leaf()}`);
    else if (kind === 'prio')
      draft.lines.push(
        `${root} prio bands 4`,
        `tc qdisc add ${dev} parent 1:2 handle 20: ${leaf()}`,
      );
    else {
      draft.lines.push(`${root} ${kind}${kind === 'htb' ? ' default 11' : ''}`);
      for (const at of [11, 12]) {
        const words = kind === 'htb' ? `rate ${at}mbit ceil ${at * 2}mbit` : `quantum ${at * 100}`;
        draft.lines.push(`tc class add ${dev} parent 1: classid 1:${at} ${kind} ${words}`);
      }
      if (dice.maybe(2)) draft.lines.push(`tc qdisc add ${dev} parent 1:12 handle 30: ${leaf()}`);
    }
    if (kind !== '' && dice.maybe(2))
      draft.lines.push(...filterLine(draft, dice, `${dev} parent 1:`, ['flowid 1:11']));
  },
  ingress(draft, dice) {
    const link = dice.pick(withNone(draft.links.filter(({ kind }) => kind !== 'lo')));
    if (link === undefined || draft.next(`ingress of ${link.name}`) > 1) return;
    const hook = dice.pick(['ingress', 'clsact']);
    draft.lines.push(`tc qdisc add dev ${link.name} ${hook}`);
    const gact = draft.has('gact') ? ['action drop', 'action pass'] : [];
    const mirred = draft.has('mirred')
      ? [`action mirred egress mirror dev ${dice.pick(draft.links).name}`]
      : [];
    draft.lines.push(...filterLine(draft, dice, `dev ${link.name} ingress`, [...gact, ...mirred]));
  },
  nft(draft, dice) {
    const family = dice.pick(['inet', 'ip', 'ip6']);
    const name = `${family} t${draft.next('table')}`;
    const hook = dice.pick(['input', 'forward', 'output']);
    draft.lines.push(
      `nft add table ${name}`,
      `nft add chain ${name} c { type filter hook ${hook} priority ${dice.below(20)} ; policy accept ; }`,
      `nft add set ${name} s { type inet_service ; flags interval ; elements = { 22, 80-90 } ; }`,
      `nft add counter ${name} n { packets 41 bytes 4100 }`,
      `nft add map ${name} m { type inet_service : verdict ; elements = { 22 : drop, 80 : accept } ; }`,
    );
    const rules = [
      'tcp dport @s counter packets 7 bytes 700 accept',
      'counter name "n"',
      'tcp dport vmap @m',
      'ct state established,related accept',
      'meta mark set 0x7',
      'limit rate 10/second burst 5 packets accept',
    ];
    for (const rule of rules) if (dice.maybe(2)) draft.lines.push(`nft add rule ${name} c ${rule}`);
  },
  nat(draft, dice) {
    if (draft.next('nat') > 1) return;
    draft.lines.push(
      'nft add table ip nat',
      'nft add chain ip nat post { type nat hook postrouting priority srcnat ; }',
      `nft add rule ip nat post oifname "${dice.pick(draft.links).name}" ${dice.pick(['masquerade', 'snat to 192.0.2.7'])}`,
    );
  },
  sysctl(draft, dice) {
    const [key, value] = dice.pick(knobs).split('=') as [string, string];
    draft.lines.push(`echo '${value}' >/proc/sys/net/${key}`);
  },
  linkSysctl(draft, dice) {
    const link = dice.pick(draft.links);
    const [key, value] = dice.pick(linkKnobs).split('=') as [string, string];
    const [family = ''] = key.split('/');
    if (family === 'ipv6' && !link.hasIpv6) return;
    const place = key.replace('DEV', link.name);
    draft.lines.push(`echo '${value}' >/proc/sys/net/${place}`);
  },
};

const leaves = [
  'pfifo limit 9',
  'bfifo limit 9000',
  'tbf rate 3mbit burst 20kb latency 50ms',
  'sfq perturb 7',
  'fq_codel limit 300',
  'netem delay 5ms',
  'codel limit 99',
  'fq limit 333',
  'cake bandwidth 9mbit',
];

export const queueKinds = [...leaves.map((one) => one.split(' ')[0] ?? ''), 'htb', 'prio', 'drr'];

const knobs = [
  'core/somaxconn=77',
  'ipv4/ip_forward=1',
  'ipv4/ip_local_port_range=2000 3000',
  'ipv4/tcp_syncookies=0',
  'ipv4/conf/all/rp_filter=2',
  'ipv4/conf/default/rp_filter=1',
  'ipv6/conf/all/forwarding=1',
  'ipv4/tcp_keepalive_time=111',
  'ipv4/tcp_rmem=4096 100000 200000',
  'ipv4/tcp_fin_timeout=33',
  'ipv4/ip_default_ttl=77',
  'ipv4/ping_group_range=0 10',
  'ipv6/conf/default/hop_limit=55',
  'ipv4/igmp_max_memberships=30',
  'ipv4/conf/default/forwarding=1',
  'ipv6/bindv6only=1',
  'ipv4/fwmark_reflect=1',
  'ipv4/ip_unprivileged_port_start=80',
  'ipv4/ip_nonlocal_bind=1',
  'ipv6/conf/all/disable_ipv6=0',
];

const linkKnobs = [
  'ipv4/conf/DEV/rp_filter=2',
  'ipv4/conf/DEV/arp_ignore=1',
  'ipv4/conf/DEV/forwarding=1',
  'ipv4/conf/DEV/proxy_arp=1',
  'ipv6/conf/DEV/hop_limit=66',
  'ipv6/conf/DEV/accept_ra=0',
  'ipv6/conf/DEV/forwarding=1',
  'ipv6/conf/DEV/accept_dad=0',
  'ipv4/neigh/DEV/base_reachable_time_ms=20000',
  'ipv6/neigh/DEV/ucast_solicit=5',
  'ipv4/neigh/DEV/gc_stale_time=70',
  'ipv4/conf/DEV/promote_secondaries=1',
  'ipv6/conf/DEV/use_tempaddr=2',
  'ipv4/conf/DEV/accept_local=1',
];

const matches = [
  'u32 match ip dst 10.9.0.0/16',
  'matchall',
  'flower dst_ip 10.9.0.0/16 ip_proto tcp',
];

/** One filter, or none where the kernel has no kind of it. */
function filterLine(draft: Draft, dice: Dice, place: string, actions: readonly string[]): string[] {
  const match = dice.pick(withNone(matches.filter((one) => draft.has(one.split(' ')[0] ?? ''))));
  const action = dice.pick(withNone(actions));
  if (match === undefined || action === undefined) return [];
  return [`tc filter add ${place} protocol ip prio ${1 + dice.below(9)} ${match} ${action}`];
}

/** `pick` of an empty list has no answer; this one's is undefined. */
function withNone<T>(list: readonly T[]): readonly (T | undefined)[] {
  return list.length === 0 ? [undefined] : list;
}

function portsOf(draft: Draft): DraftLink[] {
  return draft.links.filter(({ master }) => master?.kind === 'bridge');
}

/**
 * An entry without a VLAN is made in each one of its port, and is refused where the bridge filters
 * and the port is in none (br_mdb_add in br_mdb.c).
 */
function canHaveGroups({ up, master, hasVlan }: DraftLink): boolean {
  if (!up || !master?.up || !master.knowsGroups) return false;
  return !master.lacksVlan || hasVlan === true;
}

function mac(draft: Draft): string {
  const at = draft.next('entry');
  return `02:00:00:02:${(at >> 8).toString(16).padStart(2, '0')}:${(at & 255).toString(16).padStart(2, '0')}`;
}
