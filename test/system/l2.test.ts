import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../src/host/run.ts';
import { captureNetwork, warmCapture } from '../../src/network/l2/capture.ts';
import { diffNetwork } from '../../src/network/l2/diff.ts';
import { freshState } from '../../src/network/l2/fresh-state.ts';
import { attachEnds } from '../../src/network/l2/host-ends.ts';
import { bridgeMtu, createNetns, removeNetns } from '../../src/network/l2/namespace.ts';
import type { NetworkState } from '../../src/network/l2/state.ts';
import { createNamespaces } from '../support/netns-pair.ts';

const tag = randomBytes(3).toString('hex');
const bridge = `l2t${tag}br`;
const namespaces = createNamespaces(`l2t${tag}`);
const { build, inside, pathOf } = namespaces;

async function leftovers(): Promise<string> {
  const links = await run('ip', ['-o', 'link']);
  const netns = await run('ip', ['netns']);
  return `${links.stdout}${netns.stdout}`
    .split('\n')
    .filter((line) => line.includes(tag) && !line.includes(bridge))
    .join('\n');
}

const hasIpsec = await run('unshare', ['--net', 'ip', 'xfrm', 'policy']).then(
  () => true,
  () => false,
);
const testIpsec = test.skipIf(!hasIpsec); // no xfrm_user: `ip xfrm policy` said so

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await work();
  console.log(`${what}: ${(performance.now() - start).toFixed(1)} ms`);
  return result;
}

/** Builds a namespace of `state` and reads it back. */
async function rebuild(suffix: string, state: NetworkState, isNew = false): Promise<NetworkState> {
  attachEnds(await timed(`build ${suffix}`, () => build(suffix, state, isNew)));
  return timed(`capture ${suffix}`, () => captureNetwork({ path: pathOf(suffix) }));
}

/** The document of a new job on the test's bridge. */
async function fresh(ip: string[], gateways: string[] = []): Promise<NetworkState> {
  return freshState({ ip, gateways, bridge, mtu: await bridgeMtu(bridge) });
}

beforeAll(async () => {
  await run('ip', ['link', 'add', bridge, 'mtu', '1450', 'type', 'bridge']);
  await warmCapture();
});

afterAll(async () => {
  await namespaces.removeAll();
  await run('ip', ['link', 'del', bridge]);
  expect(await leftovers()).toBe('');
});

const batch = `
link set dev eth0 txqueuelen 500 alias "the job's wire" group 7
addr add 10.78.0.2/24 brd + dev eth0
addr add 10.78.0.3/24 dev eth0 label eth0:x
addr add 10.79.0.1 peer 10.79.0.2/32 dev eth0
addr add 10.80.0.1/24 dev eth0 metric 77
addr add 10.81.0.1/24 dev eth0 noprefixroute
addr add fd78::2/64 dev eth0 nodad
addr add fd78::3/64 dev eth0 nodad preferred_lft 0
addr add fd79::2/64 dev eth0 nodad noprefixroute
addr add fe80::77/64 dev eth0 nodad
addr add 10.99.9.9/32 dev lo
route add default via 10.78.0.1 metric 100
route add 10.9.0.0/16 nexthop via 10.78.0.1 weight 2 nexthop via 10.78.0.5 weight 3
route add 10.8.0.0/16 via 10.78.0.9 mtu 1300 table 77 proto static
route add default via 169.254.1.1 dev eth0 onlink table 78
route add 169.254.7.1 dev eth0 scope link
route add 10.70.0.0/16 via 169.254.7.1
route append 10.70.0.0/16 via 10.78.0.1
route add blackhole 10.7.0.0/16
route add unreachable default metric 4000
route add 10.6.0.0/16 via 9.9.9.9 dev eth0 onlink src 10.78.0.3
route add 10.4.0.0/16 via 10.78.0.1 advmss 1200 tos 0x10 congctl cubic initcwnd 20
route add 10.3.0.0/16 via inet6 fe80::1 dev eth0
route add local 10.98.0.0/16 dev lo table local
neigh add 10.78.0.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent
neigh add fd78::1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent router
neigh add proxy 10.78.0.77 dev eth0
rule add from 10.78.0.2 lookup 77 priority 1000
rule add to 10.0.0.0/8 lookup 77 priority 1000
rule add fwmark 0x7/0xff lookup 78 priority 999
rule add not from 10.0.0.0/8 tos 0x10 ipproto tcp sport 80 lookup 500 suppress_prefixlength 0
rule add uidrange 0-10 iif eth0 dport 80-90 blackhole priority 33
rule del priority 32767
`;

const batch6 = `
route add default via fd78::1 metric 100
route add fd99::/64 nexthop via fd78::1 nexthop via fd78::5 weight 3
route add fd98::/64 via fd78::1 mtu 1300 pref high
route add fd97::/64 dev eth0 table 77
route add blackhole fd96::/64
rule add from fd78::/64 lookup 77 priority 900
rule add to fd00::/8 goto 950 priority 34
rule add oif eth0 prohibit priority 950
`;

const ruleset = `
table inet web {
  set allowed { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 192.0.2.1 } }
  set seen { type ipv4_addr; size 100; flags dynamic,timeout; timeout 1h; elements = { 192.0.2.9 } }
  map ports { type inet_service : verdict; elements = { 22 : drop, 80 : jump count } }
  counter hits { packets 41 bytes 4100 }
  chain count { counter name hits accept comment "web { hits"; }
  chain input {
    type filter hook input priority filter; policy accept;
    ip saddr @allowed counter packets 7 bytes 700 accept
    ct state established,related accept
    tcp dport vmap @ports
    meta hour "02:00"-"03:00" drop
    tcp flags & (syn | ack) == syn limit rate 10/second burst 5 packets accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
  }
}
table ip nat {
  chain prerouting {
    type nat hook prerouting priority dstnat;
    tcp dport 8080 dnat to 10.78.0.2:80
  }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    oifname "eth0" masquerade
    iif "lo" counter packets 1 bytes 2
  }
}
table ip migrate-mute {
  chain x {
  }
}
`;

describe('a namespace in full', () => {
  let first: NetworkState;

  beforeAll(async () => {
    const [end] = await build('a', await fresh([]), true);
    expect(end?.mtu).toBe(1450);
    attachEnds(end === undefined ? [] : [end]);
    await inside('a', ['ip', '-batch', '-'], batch.trimStart());
    await inside('a', ['ip', '-6', '-batch', '-'], batch6.trimStart());
    await inside('a', ['nft', '-f', '-'], ruleset);
    for (const line of [
      'net/core/somaxconn=77',
      'net/ipv4/ip_forward=1',
      'net/ipv4/ip_local_port_range=2000	3000',
      'net/ipv4/conf/eth0/rp_filter=2',
      'net/ipv4/neigh/eth0/gc_stale_time=77',
      'net/ipv6/neigh/eth0/app_solicit=3',
      'net/ipv6/conf/eth0/hop_limit=77',
      'net/ipv6/conf/all/forwarding=1',
      'net/ipv6/conf/eth0/forwarding=0',
      'net/ipv6/conf/eth0/accept_ra=0',
    ]) {
      const [key, value] = line.split('=') as [string, string];
      await inside('a', ['tee', `/proc/sys/${key}`], value);
    }
    first = await timed('capture a', () => captureNetwork({ path: pathOf('a') }));
  });

  test('is captured with all that was put into it', () => {
    expect(first.warnings).toEqual([]);
    expect(first.links.map((link) => link.name)).toEqual(['lo', 'eth0']);
    expect(first.links[1]).toMatchObject({ mtu: 1450, alias: "the job's wire", group: 7 });
    expect(first.ends).toEqual([{ link: 'eth0', on: 'bridge', device: bridge, mtu: 1450 }]);
    expect(first.addresses.filter(({ link }) => link === 'eth0')).toHaveLength(10);
    expect(first.rules.filter(({ family }) => family === 4)).toHaveLength(7);
    expect(first.neighbours).toHaveLength(3);
    expect(first.nft.map((table) => table.name)).toEqual(['web', 'nat']);
    expect(first.nft[0]?.text).toContain('packets 41 bytes 4100');
    expect(first.sysctls).toMatchObject({
      'net/core/somaxconn': '77',
      'net/ipv4/ip_forward': '1',
      'net/ipv4/neigh/eth0/gc_stale_time': '77',
      'net/ipv6/neigh/eth0/app_solicit': '3',
      'net/ipv6/conf/eth0/hop_limit': '77',
      'net/ipv6/conf/eth0/forwarding': '0',
      'net/ipv6/conf/all/forwarding': '1',
    });
  });

  test('arrives equal, and once more from there', async () => {
    const second = await rebuild('b', first);
    expect(diffNetwork(first, second)).toEqual([]);
    expect(second.nft[0]?.text).toContain('packets 41 bytes 4100');
    expect(second.nft[0]?.text).toContain('packets 7 bytes 700');
    expect(second.nft[1]?.text).toBe(first.nft[1]?.text);
    const third = await rebuild('c', second);
    expect(diffNetwork(second, third)).toEqual([]);
  });
});

test('a new job gets its addresses, its gateways and nothing else', async () => {
  const state = await fresh(['10.78.1.2/24', 'fd78:1::2/64'], ['10.78.1.1', 'fd78:1::1']);
  const found = await rebuild('f', state, true);
  expect(diffNetwork(state, found).filter((line) => line.endsWith('missing'))).toEqual([]);
  expect(found.warnings).toEqual([]);
  const script = `const net = require('node:net');
for (const host of ['10.78.1.2', 'fd78:1::2']) {
  const server = net.createServer().listen(80, host, () => {
    net.connect(80, host).on('connect', function () { this.destroy(); server.close(); });
  });
}`;
  await inside('f', [process.execPath, '-e', script]);
});

test('a job off the bridge is silent, on it reachable', async () => {
  await run('ip', ['link', 'set', bridge, 'up']);
  const one = await build('p', await fresh(['10.78.2.1/24']), true);
  const two = await build('q', await fresh(['10.78.2.2/24']), true);
  // A refusal is an answer; silence is none.
  const answers = async () => {
    const connect = ['timeout', '1', 'bash', '-c', '</dev/tcp/10.78.2.2/9'];
    const args = [`--net=${pathOf('p')}`, ...connect];
    return (await run('nsenter', args, { okCodes: [1, 124] })).exitCode === 1;
  };
  attachEnds(one);
  expect(await answers()).toBe(false);
  attachEnds(two);
  expect(await answers()).toBe(true);
});

test('a namespace that is there is not touched, and one that is gone can be removed again', async () => {
  const name = `l2t${tag}-x`;
  const before = await leftovers();
  await createNetns(name);
  await expect(createNetns(name)).rejects.toThrow('could not be made');
  await removeNetns(name);
  await removeNetns(name);
  expect(await leftovers()).toBe(before);
});

test('what hangs on the wrong thing is refused by name, our own devices are left out', async () => {
  const [end] = await build('r', await fresh(['10.78.5.2/24']), true);
  await inside('r', ['ip', 'link', 'add', 'mgh0', 'type', 'ifb']);
  // Not on a bridge: another host would not know where to put it.
  await expect(captureNetwork({ path: pathOf('r') })).rejects.toMatchObject({
    code: 'PLAN_REFUSED',
    message: expect.stringContaining('eth0: its other end'),
  });
  attachEnds(end === undefined ? [] : [end]);
  const state = await captureNetwork({ path: pathOf('r') });
  expect(state.links.map((link) => link.name)).toEqual(['lo', 'eth0']);
});

test('a refused object is named, with the reason of the kernel', async () => {
  const state = await fresh(['10.78.3.1/24'], ['10.78.3.2']);
  const routes = state.routes.map((route) => ({ ...route, gateway: '192.0.2.1' }));
  await expect(build('s', { ...state, routes }, true)).rejects.toMatchObject({
    code: 'NETWORK_FAILED',
    message: expect.stringContaining('via 192.0.2.1'),
  });
  const odd = { ...state, routes: [], sysctls: { 'net/ipv4/nosuch': '1' } };
  await expect(build('t', odd, true)).rejects.toThrow('net/ipv4/nosuch');
  await expect(captureNetwork({ path: '/run/netns/l2t-none' })).rejects.toMatchObject({
    code: 'NETWORK_FAILED',
  });
});

testIpsec(
  'IPsec in a namespace is refused by name: without its policies the job would speak in the clear',
  async () => {
    await build('i', await fresh([]), false);
    const policy = 'src 10.0.0.0/8 dst 11.0.0.0/8 dir out tmpl src 10.0.0.1 dst 10.0.0.2 proto esp';
    await inside('i', ['ip', 'xfrm', 'policy', 'add', ...policy.split(' '), 'mode', 'tunnel']);
    await expect(captureNetwork({ path: pathOf('i') }, { allowLoose: true })).rejects.toMatchObject(
      {
        code: 'PLAN_REFUSED',
        message: 'IPsec: 1 policy (ip xfrm) cannot be carried',
      },
    );
    await inside('i', ['ip', 'xfrm', 'policy', 'flush']);
    await captureNetwork({ path: pathOf('i') }, { allowLoose: true });
  },
);
