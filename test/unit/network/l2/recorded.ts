/** What `ip -j -d -N` of iproute2 6.1 and 6.15 printed for one small namespace, shortened. */
export const lo = {
  ifindex: 1,
  ifname: 'lo',
  flags: ['LOOPBACK', 'UP', 'LOWER_UP'],
  mtu: 65_536,
  qdisc: 'noqueue',
  group: '0',
  txqlen: 1_000,
  link_type: '[772]',
  address: '00:00:00:00:00:00',
  inet6_addr_gen_mode: 'eui64',
};

export const eth0 = {
  ifindex: 2,
  link_index: 5,
  ifname: 'eth0',
  flags: ['BROADCAST', 'MULTICAST', 'UP', 'LOWER_UP'],
  mtu: 1_400,
  qdisc: 'noqueue',
  group: '7',
  txqlen: 500,
  link_type: '[1]',
  address: '56:51:88:8b:fc:47',
  linkinfo: { info_kind: 'veth' },
  inet6_addr_gen_mode: 'eui64',
  ifalias: 'hello',
};

const forever = { valid_life_time: 4_294_967_295, preferred_life_time: 4_294_967_295 };

export const addresses4 = [
  {
    ...eth0,
    addr_info: [
      {
        family: 'inet',
        local: '10.5.0.2',
        prefixlen: 24,
        broadcast: '10.5.0.255',
        scope: '0',
        label: 'eth0',
        ...forever,
      },
      {
        family: 'inet',
        local: '10.50.0.1',
        address: '10.50.0.2',
        prefixlen: 32,
        scope: '0',
        label: 'eth0',
        ...forever,
      },
      {
        family: 'inet',
        local: '10.51.0.1',
        prefixlen: 24,
        metric: 77,
        scope: '0',
        dynamic: true,
        label: 'eth0',
        valid_life_time: 1_000,
        preferred_life_time: 100,
      },
      {
        family: 'inet',
        local: '10.5.0.3',
        prefixlen: 24,
        scope: '0',
        secondary: true,
        label: 'eth0:x',
        ...forever,
      },
    ],
  },
];

export const addresses6 = [
  {
    ...eth0,
    addr_info: [
      {
        family: 'inet6',
        local: 'fd56::2',
        prefixlen: 64,
        scope: '0',
        deprecated: true,
        tentative: true,
        noprefixroute: true,
        valid_life_time: 4_294_967_295,
        preferred_life_time: 0,
      },
      { family: 'inet6', local: 'fd55::2', prefixlen: 64, scope: '0', nodad: true, ...forever },
      {
        family: 'inet6',
        local: 'fe80::5451:88ff:fe8b:fc47',
        prefixlen: 64,
        scope: '253',
        protocol: '0x3',
        ...forever,
      },
    ],
  },
];

const kernel4 = { type: '1', dev: 'eth0', protocol: '2', scope: '253', flags: [] };
const main = { table: '254', flags: [] };

export const connected4 = [
  { ...kernel4, ...main, dst: '10.5.0.0/24', prefsrc: '10.5.0.2' },
  { ...kernel4, ...main, dst: '10.50.0.2', prefsrc: '10.50.0.1' },
  { ...kernel4, ...main, dst: '10.51.0.0/24', prefsrc: '10.51.0.1', metric: 77 },
  { ...kernel4, type: '2', dst: '10.5.0.2', table: '255', scope: '254', prefsrc: '10.5.0.2' },
];

export const routes4 = [
  {
    ...main,
    type: '1',
    dst: 'default',
    gateway: '169.254.1.1',
    dev: 'eth0',
    protocol: '3',
    scope: '0',
    metric: 100,
  },
  { ...main, type: '1', dst: '169.254.1.1', dev: 'eth0', protocol: '3', scope: '253' },
  { ...main, type: '6', dst: '10.7.0.0/16', protocol: '3', scope: '0' },
  {
    ...main,
    type: '1',
    dst: '10.9.0.0/16',
    protocol: '3',
    scope: '0',
    nexthops: [
      { gateway: '10.5.0.1', dev: 'eth0', weight: 2, flags: [] },
      { via: { family: 'inet6', host: 'fe80::1' }, dev: 'eth0', weight: 3, flags: ['onlink'] },
    ],
  },
  {
    type: '1',
    dst: '10.4.0.0/16',
    tos: '0x10',
    gateway: '10.5.0.1',
    dev: 'eth0',
    table: '77',
    protocol: '4',
    scope: '0',
    flags: [],
    metrics: [{ mtu: 1_300, initcwnd: 20, congestion: 'cubic' }],
  },
];

const local = { priority: 0, src: 'all', table: '255', protocol: '2' };

export const rules4 = [
  local,
  {
    priority: 998,
    not: null,
    src: '10.0.0.0',
    srclen: 8,
    tos: '0x10',
    ipproto: 'ipproto-6',
    sport: 80,
    sport_mask: '0xffff',
    table: '500',
    suppress_prefixlen: 0,
    protocol: '0',
  },
  {
    priority: 999,
    src: 'all',
    fwmark: '0x7',
    fwmask: '0xff',
    iif: 'eth0',
    uid_start: 0,
    uid_end: 10,
    dport_start: 80,
    dport_end: 90,
    action: '6',
    protocol: '0',
  },
  { priority: 32_766, src: 'all', table: '254', protocol: '2' },
];

export const ruleset = `# Warning: table ip nat is managed by iptables-nft, do not touch!
table ip nat {
	chain post {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "eth0" counter packets 7 bytes 700 masquerade
	}
}
table inet web {
	set seen {
		type ipv4_addr
		flags dynamic,timeout
		elements = { 192.0.2.1 expires 59m59s,
			     192.0.2.2 expires 1h }
	}

	chain input {
		ip saddr @seen accept comment "web {"
	}
}
table ip migrate-lock {
	chain x {
	}
}
`;
