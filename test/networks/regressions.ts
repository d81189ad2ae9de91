/** A namespace that once did not arrive as it was: found by the property test, made small. */
export interface Regression {
  /** A sentence. */
  readonly name: string;
  /** What a kernel has to have for it, besides veth pairs and bridges. */
  readonly needs: readonly string[];
  readonly lines: readonly string[];
}

export const regressions: readonly Regression[] = [
  {
    name: 'routes to IPv6 addresses come by themselves, later than the addresses',
    needs: [],
    lines: Array.from({ length: 30 }, (_, at) => `ip addr add fd00:1::${at + 1}/64 dev eth0`),
  },
  {
    name: 'an address that is not sure yet, for want of a carrier, gets its route when it is',
    needs: [],
    lines: [
      'ip link add br0 type bridge',
      'ip link set dev br0 up',
      'ip addr add fd00:1::1/64 dev br0',
    ],
  },
  {
    name: 'the secret of random addresses arrives: no second address is made from another one',
    needs: [],
    lines: [
      'ip link add v0 type veth peer name v1',
      'ip link set dev v0 addrgenmode random',
      'ip link set dev v1 addrgenmode random',
      'ip link set dev v0 up',
      'ip link set dev v1 up',
    ],
  },
  {
    name: 'a device that was made after `default` was changed has what `default` says',
    needs: [],
    lines: [
      'echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad',
      'echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad',
      'echo 5 >/proc/sys/net/ipv6/conf/default/router_solicitations',
      'ip link add v0 type veth peer name v1',
    ],
  },
  {
    name: 'a gateway whose own route was taken away is still one',
    needs: [],
    lines: [
      'ip addr add 10.1.0.1/24 dev eth0',
      'ip addr add fd00:1::1/64 nodad dev eth0',
      'ip route add 10.9.0.0/16 via 10.1.0.110',
      'ip route add 2001:db8::/48 via fd00:1::110',
      'ip route add 10.8.0.0/16 nexthop via 10.1.0.110 dev eth0 nexthop via 10.1.0.111 dev eth0',
      'ip nexthop add id 1 via 10.1.0.120 dev eth0',
      'ip route add 10.7.0.0/16 nhid 1',
      'ip route flush root 10.1.0.0/24 dev eth0 proto kernel',
      'ip -6 route flush root fd00:1::/64 dev eth0 proto kernel',
    ],
  },
  {
    name: 'a VLAN device without any flag gets none',
    needs: ['vlan'],
    lines: [
      'ip link add v0 type veth peer name v1',
      'ip link add link v0 name v0.7 type vlan id 7 reorder_hdr off',
    ],
  },
  {
    name: 'a wireguard device is in the document with its keys and peers',
    needs: ['wireguard'],
    lines: [
      'ip link add wg0 type wireguard',
      `printf '[Interface]\\nPrivateKey=${'A'.repeat(42)}0=\\n' | wg setconf wg0 /dev/stdin`,
    ],
  },
  {
    name: 'a device whose MTU is too small for IPv6 has none after the move either',
    needs: ['ip6gretap'],
    lines: [
      'ip link add t0 type ip6gretap local fd00:9::253 remote fd00:9::1',
      'ip link set dev t0 mtu 900',
      'ip link add v0 type veth peer name v1',
      'ip link set dev v0 mtu 900',
      'ip link set dev v0 up',
    ],
  },
  {
    name: 'a device on top of one whose MTU is too small for IPv6 has none either, or has kept it',
    needs: ['ipvlan'],
    lines: [
      'ip link add v0 type veth peer name v1',
      'ip link set dev v0 mtu 900',
      'ip link add link v0 name i0 type ipvlan mode l2',
      'ip link add link v1 name i1 type ipvlan mode l2',
      'ip link set dev v1 mtu 900',
      'ip link add link v1 name i2 type ipvlan mode l2',
    ],
  },
  {
    name: 'a bond has its primary, before it has seen a carrier too',
    needs: ['bond'],
    lines: [
      'ip link add bond0 type bond mode active-backup miimon 60000',
      'ip link add v0 type veth peer name v1',
      'ip link set dev v0 up',
      'ip link set dev v1 master bond0',
      'ip link set dev bond0 type bond primary v1',
      'ip link set dev bond0 up',
    ],
  },
  {
    name: 'which port of a bond takes its addresses is for the kernel to choose',
    needs: ['bond'],
    lines: [
      'ip link add veth3 address 02:00:00:00:00:01 type veth peer name veth4 address 02:00:00:00:00:02',
      'ip link add bond6 address 02:00:00:00:00:03 type bond mode balance-tlb miimon 100',
      'ip link add br8 type bridge mcast_snooping 0 vlan_filtering 1',
      ...['veth3', 'veth4'].flatMap((port) => [
        `ip link set dev ${port} down`,
        `ip link set dev ${port} master bond6`,
        `ip link set dev ${port} up`,
      ]),
      'ip link set dev bond6 up',
      'ip link set dev bond6 master br8',
      'ip link set dev br8 up',
    ],
  },
];
