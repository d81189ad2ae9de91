import type { Dice } from './dice.ts';
import type { Draft, DraftAddress, DraftLink, Rule } from './draft.ts';

/** Addresses, and the ways out of a namespace. */
export const routingRules: Readonly<Record<string, Rule>> = {
  address4(draft, dice) {
    const link = dice.pick(draft.links);
    const known = draft.addresses.filter(
      (one) => one.link === link && one.family === 4 && one.isGlobal,
    );
    const first = known.length > 0 && dice.maybe(3) ? dice.pick(known) : undefined;
    const isSecond = first !== undefined;
    const subnet = first?.subnet ?? `10.${draft.next('subnet4')}.0`;
    const host = draft.next(`host of ${subnet}`);
    const words = dice.some(
      [
        `brd ${subnet}.255`,
        `label ${link.name.slice(0, 12)}:x`,
        'noprefixroute',
        'metric 77',
        'valid_lft 3000 preferred_lft 2000',
      ],
      6,
    );
    const scope = !isSecond && dice.maybe(6) ? ` scope ${dice.pick(['link', 'host'])}` : '';
    draft.lines.push(`ip addr add ${subnet}.${host}/24${words}${scope} dev ${link.name}`);
    const ownRoute = link.up && !words.includes('noprefixroute') && scope === '';
    // Only the first of a subnet makes the route.
    const hasRoute = first?.hasRoute ?? ownRoute;
    const rest = { isUsable: true, isGlobal: scope === '' };
    draft.addresses.push({
      link,
      family: 4,
      subnet,
      address: `${subnet}.${host}`,
      hasRoute,
      ...rest,
    });
  },
  address6(draft, dice) {
    const links = draft.links.filter(({ hasIpv6 }) => hasIpv6);
    const link = dice.pick(links);
    const known = draft.addresses.filter((one) => one.link === link && one.family === 6);
    const isSecond = known.length > 0 && dice.maybe(3);
    const subnet = isSecond ? dice.pick(known).subnet : `fd00:${draft.next('subnet6')}:`;
    const address = `${subnet}:${draft.next(`host of ${subnet}`)}`;
    const words = dice.some(
      ['nodad', 'noprefixroute', 'metric 79', 'home', 'valid_lft 3000 preferred_lft 0'],
      6,
    );
    draft.lines.push(`ip addr add ${address}/64${words} dev ${link.name}`);
    const hasRoute = link.up && !words.includes('noprefixroute');
    const rest = { isUsable: words.includes('nodad'), isGlobal: true };
    draft.addresses.push({ link, family: 6, subnet, address, hasRoute, ...rest });
  },
  peerAddress(draft, dice) {
    const link = dice.pick(draft.links);
    const at = draft.next('peer');
    draft.lines.push(`ip addr add 10.250.${at}.1 peer 10.250.${at}.2/32 dev ${link.name}`);
  },
  route4(draft, dice) {
    const place = `10.${100 + draft.next('route4')}.0.0/16`;
    const way = wayOf(draft, dice, 4);
    const words = dice.some(
      [
        'metric 100',
        'proto bird',
        'tos 0x10',
        'mtu lock 1400',
        'advmss 1300',
        'initcwnd 20',
        'rto_min 30ms',
        'congctl reno',
        'realm 3/4',
        'quickack 1',
      ],
      7,
    );
    const table = way.table ?? (dice.maybe(3) ? dice.pick([77, 100_000]) : undefined);
    const where = table === undefined ? '' : ` table ${table}`;
    if (way.words === '') {
      const type = dice.pick(['blackhole', 'unreachable', 'prohibit', 'throw']);
      draft.lines.push(`ip route add ${type} ${place}${dice.some(['metric 5'])}${where}`);
    } else {
      draft.lines.push(`ip route add ${place} ${way.words}${words}${where}`);
    }
  },
  route6(draft, dice) {
    const place = dice.maybe(8) ? '::/0' : `2001:db8:${draft.next('route6')}::/48`;
    const way = wayOf(draft, dice, 6);
    const metric = place === '::/0' ? ` metric ${2000 + draft.next('metric')}` : '';
    const words = dice.some(
      ['proto bird', 'mtu 1300', 'hoplimit 9', 'pref high', 'expires 900'],
      7,
    );
    const table = way.table ?? (dice.maybe(3) ? dice.pick([77, 100_000]) : undefined);
    const where = table === undefined ? '' : ` table ${table}`;
    if (way.words === '') {
      const type = dice.pick(['blackhole', 'unreachable', 'prohibit', 'throw']);
      draft.lines.push(`ip route add ${type} ${place}${metric}${where}`);
    } else {
      draft.lines.push(`ip route add ${place} ${way.words}${words}${metric}${where}`);
    }
  },
  multipath(draft, dice) {
    const family = dice.pick([4, 6] as const);
    const ways = draft.addresses.filter(
      (one) => one.family === family && one.hasRoute && plain(one.link),
    );
    if (ways.length === 0) return;
    const at = draft.next('multipath');
    const place = family === 4 ? `10.${180 + at}.0.0/16` : `2001:db8:f${at}::/48`;
    const hops = Array.from({ length: 2 + dice.below(2) }, (_, hop) => {
      const way = dice.pick(ways);
      return ` nexthop via ${gatewayOf(way, 100 + hop)} dev ${way.link.name} weight ${1 + dice.below(9)}`;
    });
    draft.lines.push(`ip route add ${place}${hops.join('')}`);
  },
  nexthop(draft, dice) {
    const id = draft.next('nexthop');
    const family = dice.pick([4, 6] as const);
    const singles = draft.nexthops.filter((one) => one.family === family && !one.isGroup);
    if (singles.length > 0 && dice.maybe(3)) {
      const members = singles.filter((_, at) => at === 0 || dice.maybe(2));
      const type = dice.maybe(4) ? ' type resilient buckets 16 idle_timer 60' : '';
      const group = members.map((one) => `${one.id},${1 + dice.below(9)}`).join('/');
      draft.lines.push(`ip nexthop add id ${id} group ${group}${type}`);
      draft.nexthops.push({ id, family, isGroup: true });
      return;
    }
    const ways = draft.addresses.filter(
      (one) => one.family === family && one.hasRoute && one.link.hasCarrier && plain(one.link),
    );
    if (ways.length === 0) return;
    const way = dice.pick(ways);
    draft.lines.push(
      `ip nexthop add id ${id} via ${gatewayOf(way, 120)} dev ${way.link.name}${dice.some(['protocol bird'])}`,
    );
    draft.nexthops.push({ id, family, isGroup: false });
  },
  nexthopRoute(draft, dice) {
    if (draft.nexthops.length === 0) return;
    const { id, family } = dice.pick(draft.nexthops);
    const at = draft.next('nexthop route');
    const place = family === 4 ? `10.${220 + at}.0.0/16` : `2001:db8:e${at}::/48`;
    draft.lines.push(`ip route add ${place} nhid ${id}${dice.some(['mtu 1300'])}`);
  },
  rule(draft, dice) {
    const family = dice.pick(['', '-6 ']);
    const address = family === '' ? '10.0.0.0/8' : 'fd00::/16';
    const link = dice.pick(draft.links).name;
    const match = dice.some(
      [
        `from ${address}`,
        `to ${address}`,
        'fwmark 0x10/0xf0',
        `iif ${link}`,
        'tos 0x10',
        'uidrange 1000-1999',
        'ipproto tcp dport 1000-2000',
      ],
      4,
    );
    const action = dice.pick([
      'lookup 77',
      'lookup 100000',
      'blackhole',
      'prohibit',
      'goto 32766',
      'lookup main suppress_prefixlength 0',
    ]);
    draft.lastLines.push(`ip ${family}rule add pref ${100 + draft.next('rule')}${match} ${action}`);
  },
  neighbour(draft, dice) {
    const link = dice.pick(
      draft.links.filter(({ kind, up }) => kind !== 'lo' && up).concat(draft.links.slice(0, 1)),
    );
    if (link.kind === 'lo') return;
    const at = draft.next('neighbour');
    const address = dice.pick([`10.240.0.${at}`, `fd00:240::${at}`]);
    if (address.includes(':') && !link.hasIpv6) return;
    if (dice.maybe(4)) draft.lines.push(`ip neigh add proxy ${address} dev ${link.name}`);
    else if (link.isEthernet && link.taken === undefined) {
      const state = dice.pick([
        'nud permanent',
        'nud permanent',
        'extern_learn',
        'nud permanent protocol bird',
      ]);
      draft.lines.push(
        `ip neigh add ${address} lladdr 02:00:00:01:00:${(at % 90) + 10} dev ${link.name} ${state}`,
      );
    }
  },
  /** What the kernel made and somebody took away. */
  takenAway(draft, dice) {
    const made = draft.addresses.filter(({ hasRoute, family }) => hasRoute && family === 4);
    if (made.length === 0) return;
    const one = dice.pick(made);
    if (
      draft.addresses.filter(({ subnet }) => subnet === one.subnet).length > 1 ||
      one.link.name === 'lo'
    )
      return;
    const table = one.link.master?.table;
    one.hasRoute = false;
    draft.lines.push(
      `ip route flush ${table === undefined ? '' : `table ${table} `}root ${one.subnet}.0/24 dev ${one.link.name} proto kernel`,
    );
  },
};

interface Way {
  /** Empty when there is none. */
  readonly words: string;
  readonly table?: number | undefined;
}

/** A next hop that the namespace can reach. */
function wayOf(draft: Draft, dice: Dice, family: 4 | 6): Way {
  const ways = draft.addresses.filter((one) => one.family === family && one.hasRoute);
  if (ways.length === 0 || dice.maybe(5)) return { words: '' };
  const way = dice.pick(ways);
  const { link } = way;
  const table = link.master?.table;
  const source = way.isUsable && dice.maybe(5) ? ` src ${way.address}` : '';
  const direct = `dev ${link.name}${dice.maybe(3) && family === 4 ? ' scope link' : ''}`;
  const words = dice.pick([
    `via ${gatewayOf(way, 110)} dev ${link.name}`,
    `via ${gatewayOf(way, 111)} dev ${link.name} onlink`,
    direct,
  ]);
  if (link.name === 'lo') return { words: `dev ${link.name}` };
  return { words: `${words}${source}`, table: table ?? link.table };
}

function gatewayOf({ family, subnet }: DraftAddress, host: number): string {
  return family === 4 ? `${subnet}.${host}` : `${subnet}:${host}`;
}

/** In no VRF, and a place to which packets go. */
function plain({ master, kind }: DraftLink): boolean {
  return master?.table === undefined && kind !== 'lo' && kind !== 'vrf';
}
