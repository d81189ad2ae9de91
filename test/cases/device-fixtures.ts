import { type DeviceFixture, subnet, underlay } from './device-fixture.ts';
import { tunnelDevices } from './device-tunnels.ts';

const { job, job6, peer, peer6 } = underlay;

/** A veth pair by hand from the namespace to the host's bridge. */
function outer(inside: string, more = ''): string[] {
  const end = `fx${inside}`;
  return [
    `ip link add ${end} type veth peer name ${inside} netns $NS`,
    `ip link set ${end} master br0 up ${more}`,
    `nsenter --net=$NS ip link set ${inside} up`,
  ];
}

/** A VLAN of the segment, its device made on both ends. */
function vlan(number: number, more: readonly string[] = []) {
  const net = subnet(number);
  const name = `v${number}`;
  const make = (parent: string) => [
    `ip link add link ${parent} name ${name} type vlan id ${number}`,
    `ip link set ${name} up`,
  ];
  return {
    kinds: ['vlan'],
    devices: [name],
    inside: [...make('eth0'), net.inside(name), ...more],
    peer: [...make('eth0'), net.peer(name)],
    channels: [net.channel],
  };
}

/** A macvlan inside, on the job's own device. */
function macvlan(number: number, kind: 'macvlan' | 'macvtap', more: readonly string[] = []) {
  const net = subnet(number);
  const name = `m${number}`;
  return {
    kinds: [kind],
    devices: [name],
    inside: [
      `ip link add link eth0 name ${name} type ${kind} mode bridge`,
      `ip link set ${name} up`,
      net.inside(name),
      ...more,
    ],
    peer: [net.peer()],
    channels: [net.channel],
  };
}

/** Bytes a second, bytes: a line is longer than what may pass at once. */
const shaped = { rate: 100_000, padding: 30_000, burst: 10_000 } as const;
const shape = `tbf rate ${shaped.rate}bps burst ${shaped.burst} limit 1mb`;
const measured = {
  padding: shaped.padding,
  lineMs: ((shaped.padding - shaped.burst) / shaped.rate) * 1_000,
} as const;

/** Nothing goes through one without a program, and CRIU cannot give a program its tun again. */
function tun(number: number, mode: 'tun' | 'tap'): DeviceFixture {
  const name = `${mode}${number}`;
  return {
    what: `a persistent ${mode}`,
    kinds: ['tun'],
    devices: [],
    inside: [
      `ip tuntap add dev ${name} mode ${mode}`,
      `ip link set ${name} up`,
      subnet(number).inside(name),
    ],
    channels: [],
  };
}

/** Through a port of a bridge inside, to another port's other end. */
function bridged(number: number, keepsVlans: boolean): DeviceFixture {
  const net = subnet(number);
  const mac = `02:00:00:00:${number}:01`;
  const [bridge, uplink, port, end] = ['br', 'in', 'port', 'end'].map((one) => one + number);
  const [options, vlanOfEntry] = keepsVlans
    ? ['vlan_filtering 1 vlan_default_pvid 0', 'vlan 10']
    : ['', ''];
  const member = (one = '') => [
    `ip link set ${one} master ${bridge} up`,
    ...(keepsVlans ? [`bridge vlan add dev ${one} vid 10 pvid untagged`] : []),
  ];
  return {
    what: `a port of a bridge${keepsVlans ? ' that filters VLANs' : ''}, a veth pair inside`,
    kinds: ['bridge', 'veth', ...(keepsVlans ? ['VLAN filtering'] : [])],
    devices: [`in${number}`, `port${number}`, `end${number}`],
    host: outer(uplink ?? ''),
    inside: [
      `ip link add ${bridge} type bridge ${options}`,
      `ip link add ${port} type veth peer name ${end} address ${mac}`,
      ...member(uplink),
      ...member(port),
      `bridge fdb add ${mac} dev ${port} master static ${vlanOfEntry}`,
      ...[bridge, end].map((one) => `ip link set ${one} up`),
      net.inside(end ?? ''),
    ],
    peer: [net.peer()],
    channels: [net.channel],
  };
}

/** What arrives goes through an ifb, whose queue shapes it. */
const redirected: DeviceFixture = (() => {
  const made = macvlan(12, 'macvlan', [
    'ip link add ifb12 type ifb',
    'ip link set ifb12 up',
    `tc qdisc add dev ifb12 root ${shape}`,
    'tc qdisc add dev m12 ingress',
    'tc filter add dev m12 ingress protocol ip u32 match u32 0 0 action mirred egress redirect dev ifb12',
  ]);
  return {
    ...made,
    what: 'ifb behind a mirred redirection, shaped by tbf',
    kinds: ['macvlan', 'ifb'],
    devices: ['m12', 'ifb12'],
    channels: made.channels.map((one) => ({ ...one, ...measured })),
  };
})();

const shapedOut: DeviceFixture = (() => {
  const made = macvlan(13, 'macvlan', [`tc qdisc add dev m13 root ${shape}`]);
  return {
    ...made,
    what: 'tbf on what leaves',
    channels: made.channels.map((one) => ({ ...one, ...measured })),
  };
})();

/** On a device of the host itself. */
function onHost(number: number, kind: string, parent: string, options: string): DeviceFixture {
  const net = subnet(number);
  const name = `h${number}`;
  return {
    what: `${kind} on the host's ${parent}`,
    kinds: [kind],
    devices: [name],
    host: [`ip link add link ${parent} name ${name} netns $NS type ${kind} ${options}`],
    inside: [`ip link set ${name} up`, net.inside(name)],
    peer: [net.peer()],
    channels: [net.channel],
  };
}

/** Another port than the one that is listened at, by a rule that counts. */
const translated: DeviceFixture = {
  what: 'nft NAT with counters',
  kinds: [],
  devices: ['eth0'],
  inside: [
    `nft -f - <<'EOF'
table ip nat {
  counter seen { }
  chain pre {
    type nat hook prerouting priority dstnat
    ip daddr ${job} meta l4proto { tcp, udp } th dport 9000 counter name seen redirect to :7000
  }
}
EOF`,
  ],
  channels: [{ job: { address: job }, peer: { address: peer }, port: 9_000 }],
};

const bond: DeviceFixture = (() => {
  const net = subnet(21);
  return {
    what: 'bond of two veth pairs',
    kinds: ['bond'],
    devices: ['bond21', 'x21'],
    host: [...outer('x21'), ...outer('y21')],
    inside: [
      'ip link add bond21 type bond mode active-backup miimon 100',
      ...['x21', 'y21'].flatMap((port) => [
        `ip link set ${port} down`,
        `ip link set ${port} master bond21`,
      ]),
      'ip link set bond21 up',
      net.inside('bond21'),
    ],
    peer: [net.peer()],
    channels: [net.channel],
  };
})();

const ipvlan: DeviceFixture = (() => {
  const net = subnet(22);
  return {
    what: 'ipvlan on a veth end',
    kinds: ['ipvlan'],
    devices: ['i22'],
    host: outer('z22'),
    inside: [
      'ip link add link z22 name i22 type ipvlan mode l2',
      'ip link set i22 up',
      net.inside('i22'),
    ],
    peer: [net.peer()],
    channels: [net.channel],
  };
})();

/** An address of a service, on a device that leads nowhere. */
const dummy: DeviceFixture = {
  what: 'an address on a dummy, routed to',
  kinds: ['dummy'],
  devices: [],
  inside: ['ip link add d23 type dummy', 'ip link set d23 up', 'ip addr add 10.99.23.1/32 dev d23'],
  peer: [`ip route add 10.99.23.1/32 via ${job}`],
  channels: [{ job: { address: '10.99.23.1' }, peer: { address: peer } }],
};

const vrf: DeviceFixture = (() => {
  const made = vlan(24);
  return {
    ...made,
    what: 'a VLAN in a vrf',
    kinds: ['vlan', 'vrf'],
    devices: ['v24', 'vrf24'],
    inside: [
      'ip link add vrf24 type vrf table 24',
      'ip link set vrf24 up',
      ...made.inside,
      'ip link set v24 master vrf24',
    ],
    channels: made.channels.map(({ job: end, ...one }) => ({
      ...one,
      job: { ...end, device: 'vrf24' },
    })),
  };
})();

const delayed: DeviceFixture = (() => {
  const made = vlan(25, ['tc qdisc add dev v25 root netem delay 30ms']);
  return {
    ...made,
    what: 'netem on a VLAN',
    kinds: ['vlan', 'netem'],
    channels: made.channels.map((one) => ({ ...one, delayMs: 30 })),
  };
})();

/** A VLAN device of the host's card, given to the namespace. */
const hostVlan: DeviceFixture = (() => {
  const net = subnet(28);
  return {
    what: "a VLAN of the host's eth0",
    kinds: ['vlan'],
    devices: ['h28'],
    host: ['ip link add link eth0 name h28 type vlan id 28', 'ip link set h28 netns $NS'],
    inside: ['ip link set h28 up', net.inside('h28')],
    peer: ['ip link add link eth0 name v28 type vlan id 28', 'ip link set v28 up', net.peer('v28')],
    channels: [net.channel],
  };
})();

export const deviceFixtures: readonly DeviceFixture[] = [
  {
    what: 'veth to the bridge of the host',
    kinds: ['veth'],
    devices: ['eth0'],
    channels: [
      { job: { address: job }, peer: { address: peer } },
      { job: { address: job6 }, peer: { address: peer6 } },
    ],
  },
  bridged(10, false),
  bridged(11, true),
  { ...macvlan(15, 'macvlan'), what: 'macvlan on a veth end' },
  { ...macvlan(16, 'macvtap'), what: 'macvtap on a veth end' },
  redirected,
  shapedOut,
  translated,
  tun(17, 'tun'),
  tun(18, 'tap'),
  onHost(19, 'macvlan', 'eth0', 'mode bridge'),
  bond,
  ipvlan,
  dummy,
  vrf,
  delayed,
  hostVlan,
  onHost(29, 'ipvlan', 'br0', 'mode l2'),
  { ...vlan(30), what: 'vlan on a veth end' },
  ...tunnelDevices,
];
