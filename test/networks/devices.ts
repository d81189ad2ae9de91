import { addLink, lowers, macFor, nameFor, type Rule, raise } from './draft.ts';

/** Devices that stand alone, in pairs, or on top of one other. */
export const deviceRules: Readonly<Record<string, Rule>> = {
  veth(draft, dice) {
    const [one, other] = [nameFor(draft, dice, 'veth'), nameFor(draft, dice, 'veth')];
    const queues = dice.some(['numtxqueues 4 numrxqueues 2'], 5);
    const mtu = dice.pick([1500, 1500, 9000, 1400, 65_535]);
    draft.lines.push(
      `ip link add ${one} mtu ${mtu} address ${macFor(draft)}${queues} type veth peer name ${other} mtu ${mtu} address ${macFor(draft)}`,
    );
    const both = [one, other].map((name) => {
      const link = addLink(draft, dice, { name, kind: 'veth', mtu, depth: 0, isEthernet: true });
      raise(draft, dice, link);
      return link;
    });
    const isPath = both.every(({ up }) => up);
    for (const link of both) link.hasCarrier = isPath;
  },
  dummy: (draft, dice) => alone(draft, dice, 'dummy'),
  ifb: (draft, dice) => alone(draft, dice, 'ifb'),
  tap(draft, dice) {
    tuntap(draft, dice, 'tap');
  },
  tun(draft, dice) {
    tuntap(draft, dice, 'tun');
  },
  vlan(draft, dice) {
    const candidates = lowers(draft).filter(({ kind }) => kind !== 'ipvlan' && kind !== 'ipvtap');
    if (candidates.length === 0) return;
    const below = dice.pick(candidates);
    const name = nameFor(draft, dice, 'vlan');
    const flags = dice.some(
      [
        'reorder_hdr off',
        'gvrp on',
        'mvrp on',
        'loose_binding on',
        'ingress-qos-map 1:2 3:4',
        'egress-qos-map 5:6 2:3',
      ],
      4,
    );
    const protocol = dice.pick(['802.1Q', '802.1Q', '802.1ad']);
    const mac = dice.some([`address ${macFor(draft)}`]);
    const id = (draft.next('vlan id') * 37) % 4094;
    draft.lines.push(
      `ip link add link ${below.name} name ${name}${mac} type vlan protocol ${protocol} id ${id + 1}${flags}`,
    );
    below.isParent = true;
    const made = { name, kind: 'vlan', depth: below.depth + 1, isEthernet: true };
    raise(draft, dice, addLink(draft, dice, { ...made, mtuMax: below.mtu }), below);
  },
  macvlan: (draft, dice) => onTop(draft, dice, 'macvlan'),
  macvtap: (draft, dice) => onTop(draft, dice, 'macvtap'),
  ipvlan: (draft, dice) => sharing(draft, dice, 'ipvlan'),
  ipvtap: (draft, dice) => sharing(draft, dice, 'ipvtap'),
};

function alone(...[draft, dice, kind]: [...Parameters<Rule>, string]): void {
  const name = nameFor(draft, dice, kind);
  const queues = dice.some(['numtxqueues 3'], 6);
  const mtu = dice.pick([1500, 1500, 1400, 9000, 1000]);
  draft.lines.push(`ip link add ${name} mtu ${mtu} address ${macFor(draft)}${queues} type ${kind}`);
  const made = { name, kind, mtu, depth: 0, isEthernet: true };
  const link = addLink(draft, dice, made);
  link.hasIpv6 = mtu >= 1280;
  raise(draft, dice, link);
}

function tuntap(...[draft, dice, mode]: [...Parameters<Rule>, 'tun' | 'tap']): void {
  const name = nameFor(draft, dice, mode);
  const words = dice.some(['user 1234', 'group 4321', 'multi_queue', 'vnet_hdr', 'pi']);
  draft.lines.push(`ip tuntap add dev ${name} mode ${mode}${words}`);
  const isEthernet = mode === 'tap';
  if (isEthernet) draft.lines.push(`ip link set dev ${name} address ${macFor(draft)}`);
  raise(
    draft,
    dice,
    addLink(draft, dice, { name, kind: 'tun', mtuMax: 1500, depth: 0, isEthernet }),
  );
}

function onTop(...[draft, dice, kind]: [...Parameters<Rule>, string]): void {
  const candidates = lowers(draft).filter(
    ({ taken, master, kind: below }) =>
      (taken === undefined || taken === 'macvlan') &&
      master === undefined &&
      !/^(mac|ip)v/.test(below),
  );
  if (candidates.length === 0) return;
  const below = dice.pick(candidates);
  const name = nameFor(draft, dice, kind);
  const isFirst = below.taken === undefined && !below.isParent;
  const modes = ['bridge', 'private', 'vepa', 'source', ...(isFirst ? ['passthru'] : [])];
  const mode = dice.pick(modes);
  const words =
    dice.some(['bcqueuelen 2000'], 4) + (mode === 'passthru' ? dice.some(['nopromisc']) : '');
  const mac = mode === 'passthru' ? '' : ` address ${macFor(draft)}`;
  draft.lines.push(
    `ip link add link ${below.name} name ${name}${mac} type ${kind} mode ${mode}${words}`,
  );
  for (let count = mode === 'source' ? dice.below(3) : 0; count > 0; count -= 1) {
    draft.lines.push(
      `ip link set link dev ${name} type ${kind} macaddr add ${macFor(draft)}`.replace(
        ' link dev',
        '',
      ),
    );
  }
  below.taken = mode === 'passthru' ? 'passthru' : 'macvlan';
  below.isParent = true;
  const made = { name, kind, depth: below.depth + 1, isEthernet: true };
  raise(draft, dice, addLink(draft, dice, { ...made, mtuMax: below.mtu }), below);
}

function sharing(...[draft, dice, kind]: [...Parameters<Rule>, string]): void {
  const candidates = lowers(draft).filter(
    ({ taken, master, kind: below }) =>
      (taken === undefined || taken.startsWith('ipvlan')) &&
      master === undefined &&
      !/^(mac|ip)v/.test(below),
  );
  if (candidates.length === 0) return;
  const below = dice.pick(candidates);
  const name = nameFor(draft, dice, kind);
  const [, mode = dice.pick(['l2', 'l3', 'l3s'])] = below.taken?.split(' ') ?? [];
  const [, , flag = dice.pick(['bridge', 'private', 'vepa'])] = below.taken?.split(' ') ?? [];
  draft.lines.push(`ip link add link ${below.name} name ${name} type ${kind} mode ${mode} ${flag}`);
  below.taken = `ipvlan ${mode} ${flag}`;
  below.isParent = true;
  const made = { name, kind, depth: below.depth + 1, isEthernet: true, taken: 'ipvlan' };
  raise(draft, dice, addLink(draft, dice, { ...made, mtuMax: below.mtu }), below);
}
