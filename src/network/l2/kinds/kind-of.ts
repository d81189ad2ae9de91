import { bond } from './bond.ts';
import { bridge } from './bridge.ts';
import { geneve } from './geneve.ts';
import { greKinds } from './gre.ts';
import { ip6tnl, ipip, sit } from './ip-tunnels.ts';
import { ipvlan, ipvtap } from './ipvlan.ts';
import type { LinkKind } from './kind.ts';
import { macvlan, macvtap } from './macvlan.ts';
import { dummy, ifb, veth } from './plain.ts';
import { tun } from './tun.ts';
import { vlan } from './vlan.ts';
import { vrf } from './vrf.ts';
import { vti, vti6 } from './vti.ts';
import { vxlan } from './vxlan.ts';
import { wireguard } from './wireguard.ts';

/** The kind of that name; undefined when devices of it are not carried. */
export function kindOf(name: string): LinkKind | undefined {
  return kinds.get(name);
}

const all: readonly LinkKind[] = [
  ...[veth, dummy, ifb, bridge, bond, macvlan, macvtap, ipvlan, ipvtap, vlan, vrf, tun, wireguard],
  ...[vxlan, geneve, ipip, ip6tnl, sit, vti, vti6, ...greKinds],
];

const kinds: ReadonlyMap<string, LinkKind> = new Map(all.map((kind) => [kind.name, kind]));
