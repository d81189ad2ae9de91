import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { queueKinds } from './entries.ts';
import { linkKinds } from './grammar.ts';
import { runLines } from './make.ts';

const veth = 'ip link add p0 type veth peer name p1';
const ingress = [veth, 'tc qdisc add dev p0 ingress'];
const filter = 'tc filter add dev p0 ingress protocol ip';
const ends4 = 'local 192.0.2.1 remote 192.0.2.2';
const ends6 = 'local fd00::1 remote fd00::2';

/** Lines that a kernel and its tools take if they have the kind of device. */
const probes: Readonly<Record<string, readonly string[]>> = {
  tap: ['ip tuntap add dev t0 mode tap'],
  tun: ['ip tuntap add dev t0 mode tun'],
  vlan: [veth, 'ip link add link p0 name t0 type vlan id 7'],
  macvlan: [veth, 'ip link add link p0 name t0 type macvlan mode bridge'],
  macvtap: [veth, 'ip link add link p0 name t0 type macvtap mode bridge'],
  ipvlan: [veth, 'ip link add link p0 name t0 type ipvlan mode l2'],
  ipvtap: [veth, 'ip link add link p0 name t0 type ipvtap mode l2'],
  vxlan: ['ip link add t0 type vxlan id 7 remote 192.0.2.2 dstport 4789'],
  geneve: ['ip link add t0 type geneve id 7 remote 192.0.2.2'],
  erspan: [`ip link add t0 type erspan ${ends4} seq key 1 erspan_ver 1 erspan 1`],
  ip6erspan: [`ip link add t0 type ip6erspan ${ends6} seq key 1 erspan_ver 1 erspan 1`],
  vrf: ['ip link add t0 type vrf table 7'],
  wireguard: ['ip link add t0 type wireguard', 'wg show t0'],
  ...Object.fromEntries(
    ['gretap', 'gre', 'ipip', 'sit', 'vti'].map((kind) => [
      kind,
      [`ip link add t0 type ${kind} ${ends4}`],
    ]),
  ),
  ...Object.fromEntries(
    ['ip6gretap', 'ip6gre', 'ip6tnl', 'vti6'].map((kind) => [
      kind,
      [`ip link add t0 type ${kind} ${ends6}`],
    ]),
  ),
};

const more: Readonly<Record<string, readonly string[]>> = {
  'bridge vlan': ['ip link add t0 type bridge vlan_filtering 1'],
  mdb: [
    veth,
    'ip link add t0 type bridge',
    'ip link set dev p0 master t0 up',
    'ip link set dev p1 up',
    'ip link set dev t0 up',
    'bridge mdb add dev t0 port p0 grp 239.1.1.1 permanent',
  ],
  nexthop: ['ip link set dev lo up', 'ip nexthop add id 1 blackhole'],
  gact: [...ingress, `${filter} u32 match u32 0 0 action drop`],
  mirred: [...ingress, `${filter} u32 match u32 0 0 action mirred egress redirect dev p1`],
  u32: [...ingress, `${filter} u32 match u32 0 0 flowid 1:1`],
  matchall: [...ingress, `${filter} matchall flowid 1:1`],
  flower: [...ingress, `${filter} flower ip_proto tcp classid 1:1`],
  ...Object.fromEntries(
    queueKinds.map((kind) => [
      `queue ${kind}`,
      [
        veth,
        `tc qdisc add dev p0 root handle 1: ${kind === 'tbf' ? 'tbf rate 1mbit burst 20kb latency 50ms' : kind}`,
      ],
    ]),
  ),
};

const all: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(
    linkKinds.map((kind) => [kind, probes[kind] ?? [`ip link add t0 type ${kind}`]]),
  ),
  ...more,
};

export const everyFeature: readonly string[] = Object.keys(all);

/** What of the grammar this kernel and its tools have; each is tried in a namespace of its own. */
export function featuresHere(): Set<string> {
  const found = new Set<string>();
  for (const [feature, lines] of Object.entries(all)) {
    const name = `mprobe-${randomBytes(4).toString('hex')}`;
    execFileSync('ip', ['netns', 'add', name]);
    try {
      runLines(name, lines);
      found.add(feature);
    } catch {
      // This kernel lacks it.
    } finally {
      execFileSync('ip', ['netns', 'del', name]);
    }
  }
  return found;
}
