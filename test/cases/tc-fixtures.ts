/** A setup as lines of tc(8), on a veth pair eth0 and eth1 of four queues and a tun0. */
export interface TcFixture {
  readonly name: string;
  readonly lines: readonly string[];
}

const root = (words: string) => [`qdisc add dev eth0 root handle 1: ${words}`];

const match = 'match ip dst 10.0.0.0/8';

/** A qdisc of each kind, with options that are not its defaults. */
const single: readonly TcFixture[] = [
  { name: 'pfifo', lines: root('pfifo limit 33') },
  { name: 'bfifo', lines: root('bfifo limit 33000') },
  { name: 'pfifo_head_drop', lines: root('pfifo_head_drop limit 33') },
  { name: 'pfifo_fast', lines: root('pfifo_fast') },
  { name: 'noqueue', lines: ['qdisc add dev tun0 root handle 1: noqueue'] },
  { name: 'mq', lines: [...root('mq'), 'qdisc add dev eth0 parent 1:2 handle 2: pfifo limit 5'] },
  {
    name: 'mqprio',
    lines: root('mqprio num_tc 2 map 0 0 1 1 queues 1@0 3@1 hw 0'),
  },
  { name: 'prio', lines: root('prio bands 4 priomap 3 2 1 0 3 2 1 0 0 0 0 0 0 0 0 0') },
  { name: 'multiq', lines: root('multiq') },
  { name: 'skbprio', lines: root('skbprio limit 99') },
  { name: 'sfq', lines: root('sfq perturb 10 quantum 3000 limit 99 divisor 512 depth 20') },
  {
    name: 'sfq with red',
    lines: root(
      'sfq headdrop limit 1000 redflowlimit 100000 min 8000 max 60000 probability 0.2 ecn',
    ),
  },
  { name: 'sfb', lines: root('sfb rehash 500000 db 50000 limit 700 max 30 target 25') },
  { name: 'tbf', lines: root('tbf rate 7mbit burst 33kb latency 70ms') },
  {
    name: 'tbf with a peak, a size table and an inner qdisc',
    lines: [
      'qdisc add dev eth0 root handle 1: stab overhead 40 linklayer atm mpu 80 mtu 3000 tsize 256 tbf rate 7mbit burst 33kb latency 70ms peakrate 9mbit mtu 1540',
      'qdisc add dev eth0 parent 1:1 handle 10: pfifo limit 7',
    ],
  },
  { name: 'tbf faster than 32 bits', lines: root('tbf rate 50gbit burst 9mb limit 90mb') },
  {
    name: 'red',
    lines: root(
      'red limit 400000 min 30000 max 90000 avpkt 1000 burst 55 probability 0.1 bandwidth 10mbit ecn adaptive',
    ),
  },
  {
    name: 'red whose events go to a block of filters',
    lines: [
      ...root(
        'red limit 400000 min 30000 max 90000 avpkt 1000 burst 55 bandwidth 10mbit ecn nodrop qevent early_drop block 10',
      ),
      'filter add block 10 pref 5 matchall action drop index 77',
    ],
  },
  {
    name: 'choke',
    lines: root('choke limit 900 bandwidth 10mbit min 83 max 250 burst 120 probability 0.1 ecn'),
  },
  { name: 'codel', lines: root('codel limit 300 target 7ms interval 90ms ecn ce_threshold 3ms') },
  {
    name: 'fq_codel',
    lines: root(
      'fq_codel limit 700 flows 512 target 5ms interval 100ms quantum 1000 memory_limit 4Mb ce_threshold 1ms drop_batch 32',
    ),
  },
  { name: 'fq_codel as it comes', lines: root('fq_codel') },
  {
    name: 'fq',
    lines: root('fq limit 5000 flow_limit 70 quantum 2000 initial_quantum 9000 maxrate 90mbit'),
  },
  { name: 'fq as it comes', lines: root('fq') },
  {
    name: 'pie',
    lines: root('pie limit 700 target 20ms tupdate 20ms alpha 3 beta 21 ecn bytemode'),
  },
  { name: 'fq_pie', lines: root('fq_pie limit 5000 flows 512 target 20ms tupdate 20ms ecn') },
  {
    name: 'cake',
    lines: root(
      'cake bandwidth 30mbit diffserv4 dual-srchost nat wash ack-filter overhead 44 mpu 84 atm rtt 50ms memlimit 5Mb fwmark 0xf',
    ),
  },
  { name: 'cake as it comes', lines: root('cake') },
  { name: 'hhf', lines: root('hhf limit 700 quantum 2000 hh_limit 1000 reset_timeout 50ms') },
  { name: 'etf', lines: root('etf clockid CLOCK_TAI delta 300000 deadline_mode') },
  {
    name: 'cbs',
    lines: root('cbs idleslope 20000 sendslope -980000 hicredit 30 locredit -1470 offload 0'),
  },
  {
    name: 'netem',
    lines: root(
      'netem limit 700 delay 30ms 5ms 25% loss gemodel 1% 10% 70% 0.1% duplicate 1% reorder 5% 50% gap 3 corrupt 1% rate 9mbit 20 100 5',
    ),
  },
  { name: 'netem with slots', lines: root('netem delay 10ms slot 1ms 9ms packets 32 bytes 9000') },
  { name: 'blackhole', lines: root('blackhole') },
];

/** Trees of classes with qdiscs in them, and filters on them. */
const trees: readonly TcFixture[] = [
  {
    name: 'htb with classes in classes, inner qdiscs and filters at the root and in a class',
    lines: [
      ...root('htb default 0x30 r2q 7 direct_qlen 55'),
      'class add dev eth0 parent 1: classid 1:1 htb rate 90mbit ceil 95mbit burst 30k cburst 20k',
      'class add dev eth0 parent 1:1 classid 1:10 htb rate 50mbit ceil 90mbit prio 1 quantum 9000',
      'class add dev eth0 parent 1:1 classid 1:30 htb rate 10mbit ceil 90mbit prio 3 mtu 9000 overhead 20 linklayer atm',
      'class add dev eth0 parent 1:10 classid 1:100 htb rate 20mbit prio 2',
      'class add dev eth0 parent 1: classid 1:2 htb rate 50gbit ceil 60gbit',
      'qdisc add dev eth0 parent 1:100 handle 100: tbf rate 9mbit burst 20kb limit 90kb',
      'qdisc add dev eth0 parent 1:30 pfifo limit 44',
      `filter add dev eth0 parent 1: protocol ip prio 5 u32 ${match} match ip dport 80 0xffff flowid 1:10`,
      `filter add dev eth0 parent 1:10 protocol ip prio 9 u32 ${match} flowid 1:100`,
    ],
  },
  {
    name: 'hfsc',
    lines: [
      ...root('hfsc default 2'),
      'class add dev eth0 parent 1: classid 1:1 hfsc ls m1 20mbit d 30ms m2 50mbit ul rate 90mbit',
      'class add dev eth0 parent 1:1 classid 1:2 hfsc sc umax 1500b dmax 30ms rate 9mbit',
      'class add dev eth0 parent 1:1 classid 1:3 hfsc rt m2 7mbit ls m2 8mbit',
      'qdisc add dev eth0 parent 1:3 handle 3: sfq perturb 5',
      `filter add dev eth0 parent 1: protocol ip prio 5 u32 ${match} flowid 1:1`,
      `filter add dev eth0 parent 1:1 protocol ip prio 5 u32 ${match} flowid 1:3`,
    ],
  },
  {
    name: 'drr',
    lines: [
      ...root('drr'),
      'class add dev eth0 parent 1: classid 1:1 drr quantum 900',
      'class add dev eth0 parent 1: classid 1:2 drr quantum 3000',
      'filter add dev eth0 parent 1: protocol all prio 7 basic match "meta(priority eq 6)" flowid 1:1',
      'filter add dev eth0 parent 1: protocol all prio 7 matchall flowid 1:2'.replace(
        'prio 7',
        'prio 8',
      ),
    ],
  },
  {
    name: 'qfq',
    lines: [
      ...root('qfq'),
      'class add dev eth0 parent 1: classid 1:1 qfq weight 10 maxpkt 2000',
      'class add dev eth0 parent 1: classid 1:2 qfq weight 3',
      'qdisc add dev eth0 parent 1:2 handle 2: fq_codel',
      'filter add dev eth0 parent 1: protocol all prio 8 matchall flowid 1:2',
    ],
  },
  {
    name: 'ets',
    lines: [
      ...root('ets bands 5 strict 2 quanta 3000 4000 5000 priomap 4 3 2 1 0'),
      'qdisc add dev eth0 parent 1:3 handle 3: pfifo limit 9',
    ],
  },
  {
    name: 'prio with a netem in one band and a filter that leads there',
    lines: [
      ...root('prio'),
      'qdisc add dev eth0 parent 1:3 handle 30: netem delay 20ms',
      'qdisc add dev eth0 parent 30:1 handle 31: tbf rate 1mbit burst 20kb latency 50ms',
      `filter add dev eth0 parent 1: protocol ip prio 1 u32 ${match} flowid 1:3`,
    ],
  },
];

const ingress = 'qdisc add dev eth0 ingress';
const at = 'filter add dev eth0 parent ffff:';

const classifiers: readonly TcFixture[] = [
  {
    name: 'u32 with tables of its own, links, several preferences, marks and counters',
    lines: [
      ingress,
      `${at} protocol ip prio 3 handle 5: u32 divisor 256`,
      `${at} protocol ip prio 3 u32 ht 5:22: match ip src 10.0.0.34 flowid 1:1`,
      `${at} protocol ip prio 3 u32 ht 5:7: match ip src 10.0.0.7 flowid 1:2`,
      `${at} protocol ip prio 3 u32 ht 800:: match ip src 10.0.0.0/24 link 5: hashkey mask 0x000000ff at 12`,
      `${at} protocol ip prio 9 u32 match mark 5 0xff match ip protocol 6 0xff at nexthdr+0 flowid 1:3`,
      `${at} protocol ip prio 9 handle ::7 u32 match u8 0x45 0xff at 0 flowid 1:4`,
      `${at} protocol ipv6 prio 10 u32 match ip6 dst fd00::/64 flowid 1:5`,
    ],
  },
  {
    name: 'u32 whose first table has another number, because one before it went away',
    lines: [
      ingress,
      `${at} protocol ip prio 1 u32 ${match} flowid 1:1`,
      `${at} protocol ip prio 2 u32 ${match} flowid 1:2`,
      'filter del dev eth0 parent ffff: protocol ip prio 1',
      `${at} protocol ip prio 3 u32 ${match} flowid 1:3`,
    ],
  },
  {
    name: 'u32 with an old police',
    lines: [
      ingress,
      `${at} protocol ip prio 1 u32 ${match} police rate 5mbit burst 20k drop flowid :1`,
    ],
  },
  {
    name: 'u32 of one preference at a qdisc and at its classes, and in two chains',
    lines: [
      ...root('htb'),
      'class add dev eth0 parent 1: classid 1:1 htb rate 90mbit',
      'class add dev eth0 parent 1:1 classid 1:2 htb rate 9mbit',
      `filter add dev eth0 parent 1:2 protocol ip prio 1 u32 ${match} flowid 1:2`,
      `filter add dev eth0 parent 1: protocol ip prio 1 handle 9: u32 divisor 4`,
      `filter add dev eth0 parent 1: protocol ip prio 1 u32 ht 9:3: match ip protocol 6 0xff flowid 1:2`,
      `filter add dev eth0 parent 1: protocol ip prio 1 u32 ht 801:: match ip src 10.0.0.0/24 link 9: hashkey mask 0x3 at 12`,
      `filter add dev eth0 parent 1:1 protocol ip prio 1 u32 match mark 4 0xff flowid 1:2`,
      `filter add dev eth0 parent 1:1 chain 7 protocol ip prio 1 u32 match mark 5 0xff flowid 1:2`,
    ],
  },
  {
    name: 'flower behind two tags, and tags that are counted',
    lines: [
      ingress,
      `${at} protocol 802.1ad prio 1 flower vlan_id 7 vlan_ethtype 802.1q cvlan_id 9 cvlan_ethtype ipv4 dst_ip 10.0.0.1 classid 1:7`,
      `${at} protocol 802.1q prio 2 flower vlan_id 8 classid 1:8`,
      `${at} protocol all prio 3 flower num_of_vlans 1 vlan_id 8 vlan_ethtype ipv4 classid 1:8`,
    ],
  },
  {
    name: 'fw',
    lines: [
      ...root('prio'),
      'filter add dev eth0 parent 1: protocol ip prio 1 handle 6 fw flowid 1:1',
      'filter add dev eth0 parent 1: protocol ip prio 1 handle 7 fw flowid 1:2',
      'filter add dev eth0 parent 1: protocol ip prio 2 handle 0x10/0xf0 fw flowid 1:3',
    ],
  },
  {
    name: 'route with a device that packets came from',
    lines: [
      ...root('prio'),
      'filter add dev eth0 parent 1: protocol ip prio 1 route from 3 to 5 flowid 1:1',
      'filter add dev eth0 parent 1: protocol ip prio 1 route fromif eth1 to 6 flowid 1:2',
    ],
  },
  {
    name: 'basic with conditions, several of one preference',
    lines: [
      ...root('prio'),
      'filter add dev eth0 parent 1: protocol ip prio 1 basic match "cmp(u16 at 2 layer 2 gt 1024) and not u32(u32 0x0a000000 0xff000000 at 12)" flowid 1:1',
      'filter add dev eth0 parent 1: protocol ip prio 1 basic match \'meta(nf_mark gt 24) or nbyte("ababa" at 12 layer 1)\' flowid 1:2',
      'filter add dev eth0 parent 1: protocol ip prio 1 basic flowid 1:3',
    ],
  },
  {
    name: 'cgroup',
    lines: [
      ...root('prio'),
      'filter add dev eth0 parent 1: protocol ip prio 1 handle 1: cgroup action pass',
    ],
  },
  {
    name: 'flow',
    lines: [
      ...root('drr'),
      'filter add dev eth0 parent 1: protocol ip prio 1 handle 1 flow hash keys src,dst,proto-src divisor 64 baseclass 1:1 perturb 10',
      'filter add dev eth0 parent 1: protocol ip prio 2 handle 2 flow map key dst and 0xff addend 0x10 divisor 256',
    ],
  },
  {
    name: 'flower of many protocols',
    lines: [
      ingress,
      `${at} protocol ip prio 1 flower src_ip 10.0.0.0/8 dst_ip 10.2.0.1 ip_proto tcp dst_port 80 tcp_flags 0x2/0x7 action drop`,
      `${at} protocol ip prio 1 flower ip_proto udp src_port 1000-2000 ip_tos 0x10/0xf0 action pass`,
      `${at} protocol ipv6 prio 2 flower src_ip fd00::/16 ip_proto icmpv6 type 128 code 0 action drop`,
      `${at} protocol 802.1q prio 3 flower vlan_id 7 vlan_prio 3 vlan_ethtype ipv4 dst_ip 10.0.0.1 classid 1:7`,
      `${at} protocol arp prio 4 flower arp_op request arp_tip 10.0.0.1/32 indev eth0 action pass`,
      `${at} protocol ip prio 5 flower skip_hw dst_mac 02:00:00:00:00:01/ff:ff:00:00:00:ff enc_key_id 5 enc_dst_ip 10.0.0.9 action drop`,
      `${at} protocol ip prio 6 flower ct_state +trk+est ct_zone 3 ct_mark 0x5/0xf action pass`,
      `${at} protocol mpls_uc prio 7 flower mpls_label 77 mpls_bos 1 action pass`,
    ],
  },
  {
    name: 'matchall and clsact both ways',
    lines: [
      'qdisc add dev eth0 clsact',
      'filter add dev eth0 ingress protocol all prio 1 matchall action drop',
      'filter add dev eth0 egress protocol all prio 2 matchall action pass',
    ],
  },
  {
    name: 'classic bpf',
    lines: [
      ingress,
      `${at} protocol all prio 1 bpf bytecode "4,40 0 0 12,21 0 1 2048,6 0 0 262144,6 0 0 0" flowid 1:1`,
      `${at} protocol all prio 1 bpf bytecode "1,6 0 0 4294967295" flowid 1:2`,
      `${at} protocol all prio 2 u32 ${match} action bpf bytecode "1,6 0 0 4294967295"`,
    ],
  },
  {
    name: 'chains: a template, an empty one, jumps',
    lines: [
      ingress,
      'chain add dev eth0 ingress proto ip chain 11 flower dst_mac 00:00:00:00:00:00/ff:ff:ff:ff:ff:ff src_ip 0.0.0.0/8',
      'chain add dev eth0 ingress chain 12',
      `${at} protocol ip chain 11 prio 1 flower dst_mac 02:00:00:00:00:09 action drop`,
      `${at} protocol ip prio 1 matchall action goto chain 11`,
      `${at} protocol ip chain 13 prio 4 matchall action pass`,
    ],
  },
  {
    name: 'blocks that two devices share',
    lines: [
      'qdisc add dev eth0 ingress_block 22 ingress',
      'qdisc add dev eth1 ingress_block 22 egress_block 23 clsact',
      `filter add block 22 protocol ip prio 5 u32 ${match} action drop`,
      'filter add block 23 protocol all prio 6 u32 match u32 0 0 action mirred egress redirect dev eth0',
      'filter add dev eth0 egress protocol all prio 6 u32 match u32 0 0 flowid 1:1'.replace(
        'dev eth0 egress',
        'block 22',
      ),
    ],
  },
];

const action = (words: string) => `${at} protocol ip prio 1 u32 ${match} action ${words}`;

const actions: readonly TcFixture[] = [
  {
    name: 'mirred to devices by name, one action shared by two filters',
    lines: [
      ingress,
      action('mirred egress redirect dev eth1'),
      `${at} protocol ip prio 2 u32 ${match} action mirred ingress mirror dev tun0 index 55 cookie 0a0b0c`,
      `${at} protocol ip prio 3 u32 ${match} action mirred index 55 pipe action mirred egress mirror dev eth1`,
    ],
  },
  {
    name: 'actions by themselves, used by a filter or not',
    lines: [
      'actions add action mirred egress redirect dev eth1 index 5',
      'actions add action mirred egress mirror dev tun0 index 6 cookie deadbeef',
      ingress,
      action('mirred index 6'),
    ],
  },
  {
    name: 'gact and police',
    lines: [
      'actions add action police rate 5mbit burst 20k conform-exceed pipe/drop index 9',
      ingress,
      action('gact drop random determ pass 7'),
      `${at} protocol ip prio 2 u32 ${match} action police rate 3mbit burst 90k mtu 3000 peakrate 9mbit conform-exceed drop/pipe linklayer atm action pass index 77`,
      `${at} protocol ip prio 3 u32 ${match} action police rate 50gbit burst 900k drop`,
      `${at} protocol ip prio 4 u32 ${match} action police pkts_rate 1000 pkts_burst 200 action drop`,
      `${at} protocol ip prio 5 u32 ${match} action police index 9`,
    ],
  },
  {
    name: 'pedit, nat, csum, skbedit, skbmod, vlan, simple',
    lines: [
      ingress,
      action(
        'pedit munge ip ttl set 63 munge offset 0 u8 set 0x45 pipe action csum ip4h and tcp pipe action nat ingress 10.0.0.1/32 10.0.0.2 pass',
      ),
      `${at} protocol ip prio 2 u32 ${match} action pedit ex munge eth dst set 02:00:00:00:00:77 munge ip dst set 10.9.9.9 munge ip ttl add 0xff pipe action skbedit mark 7/0xff priority 1:2 queue_mapping 3 ptype host`,
      `${at} protocol ip prio 3 u32 ${match} action skbmod set dmac 02:00:00:00:00:78 set etype 0x0806 pipe action vlan push id 77 protocol 802.1ad priority 3 pipe action vlan pop pipe action simple sdata "hello there"`,
      `${at} protocol ip prio 4 u32 ${match} action skbmod swap mac pipe action vlan modify id 5`,
    ],
  },
  {
    name: 'tunnel_key, sample, connmark, ct, ctinfo, mpls',
    lines: [
      ingress,
      `${at} protocol ip prio 1 flower action tunnel_key set src_ip 10.0.0.1 dst_ip 10.0.0.2 id 77 dst_port 4789 nocsum tos 4 ttl 9 geneve_opts 0102:80:00880022 pipe action sample rate 12 group 4 trunc 60 pipe action tunnel_key unset`,
      `${at} protocol ip prio 2 flower action connmark zone 3 pipe action ctinfo cpmark 0xff zone 2 pipe action mpls push label 77 ttl 9 tc 3`,
      `${at} protocol ip prio 3 flower ct_state -trk action ct commit zone 5 mark 3/0xf nat src addr 10.0.0.5-10.0.0.9 port 1000-2000 pipe action ct clear`,
    ],
  },
];

export const tcFixtures: readonly TcFixture[] = [...single, ...trees, ...classifiers, ...actions];
