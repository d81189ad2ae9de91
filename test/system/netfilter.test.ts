import { afterEach, describe, expect, test } from 'vitest';
import { run } from '../../src/host/run.ts';
import { type Connection, connections } from '../../src/network/l2/netfilter/conntrack.ts';
import { expectations } from '../../src/network/l2/netfilter/expectations.ts';
import {
  agentIn,
  comparable,
  load,
  makeTwin,
  readAll,
  removeTwins,
  settle,
  type Twin,
} from '../support/twins.ts';

afterEach(removeTwins);

/** Both sides of a router, in a namespace each; the router's ends move with `plug`. */
async function hostsOfARouter(router: Twin) {
  const [inner, outer] = [await makeTwin('nfi'), await makeTwin('nfo')];
  await plug(router, inner, outer);
  return { inner, outer };
}

const ends = [
  { host: '10.0.0.2', router: '10.0.0.1', peer: 'in' },
  { host: '192.0.2.2', router: '192.0.2.1', peer: 'out' },
] as const;

/** Gives the hosts fresh cables to `router`: those to another one go with their other end. */
async function plug(router: Twin, ...hosts: readonly Twin[]): Promise<void> {
  for (const [index, host] of hosts.entries()) {
    const { host: own, router: far, peer } = ends[index] ?? ends[0];
    await host.sh(`ip link del eth0 2>/dev/null || true; ip link set lo up`);
    const pair = ['link', 'add', 'eth0', 'netns', host.name, 'type', 'veth', 'peer', 'name', peer];
    await run('ip', [...pair, 'netns', router.name]);
    await host.sh(`ip addr add ${own}/24 dev eth0; ip link set eth0 up
      ip route replace default via ${far}`);
    await router.sh(`ip addr add ${far}/24 dev ${peer}; ip link set ${peer} up`);
  }
  await router.sh('echo 1 > /proc/sys/net/ipv4/ip_forward');
}

const natRules = `
table ip nat {
  chain after { type nat hook postrouting priority 100; oifname "out" masquerade; }
  chain before { type nat hook prerouting priority -100; tcp dport 8080 dnat to 192.0.2.2:80; }
}
table inet strict {
  chain pass {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    ct state new meta mark set 7 ct mark set 7 accept
  }
}`;

const listen = (address: string, port: number) => `
import socket, threading
def repeat(sock):
    while data := sock.recv(4096): sock.sendall(data)
def take(listener):
    while True: threading.Thread(target=repeat, args=(listener.accept()[0],), daemon=True).start()
threading.Thread(target=take, args=(socket.create_server((${JSON.stringify(address)}, ${port})),),
    daemon=True).start()
result = None`;
const connect = (address: string, port: number) => `
import socket
talker = socket.create_connection((${JSON.stringify(address)}, ${port}), timeout=5)
result = talker.getsockname()[1]`;
const say = (text: string) => `
talker.sendall(b"${text}")
result = talker.recv(100).decode()`;

describe('connection tracking', () => {
  test('a connection through NAT goes on in a twin that got its entries', async () => {
    const [first, second] = [await makeTwin('nfa'), await makeTwin('nfb')];
    const { inner, outer } = await hostsOfARouter(first);
    await load(first, natRules);
    const [server, client] = [await agentIn(outer), await agentIn(inner)];
    await server.run(listen('192.0.2.2', 80));
    // Both kinds of NAT at once, and the rules let through only what is tracked.
    await client.run(connect('10.0.0.1', 8080));
    expect(await client.run(say('one'))).toBe('one');
    const captured = readAll(connections, first);

    await plug(second, inner, outer);
    await load(second, natRules.replace('ct state new', 'ct state new tcp dport 1'));
    settle(connections, captured, second);
    expect(await client.run(say('two'))).toBe('two');
    const [moved] = readAll(connections, second).filter(({ original }) =>
      original.includes(' 8080'),
    );
    expect(moved).toMatchObject({ natDone: true, assured: true, mark: 7 });
    expect(moved?.tcp?.state).toBe('established');
  });

  test('without its entries that connection does not go on', async () => {
    const [first, second] = [await makeTwin('nfa'), await makeTwin('nfb')];
    const { inner, outer } = await hostsOfARouter(first);
    await load(first, natRules);
    const [server, client] = [await agentIn(outer), await agentIn(inner)];
    await server.run(listen('192.0.2.2', 80));
    await client.run(connect('10.0.0.1', 8080));
    await plug(second, inner, outer);
    await load(second, natRules.replace('ct state new', 'ct state new tcp dport 1'));
    await client.run('talker.settimeout(0.7); result = None');
    await expect(client.run(say('two'))).rejects.toThrow(/timed out|reset/);
  });

  const written: Connection[] = [
    {
      original: '6 10.0.0.1 10.0.0.2 1 2',
      timeout: 90,
      seenReply: true,
      assured: true,
      tcp: { state: 'finWait', scaleOriginal: 3, scaleReply: 9, flagsOriginal: 15, flagsReply: 9 },
    },
    {
      original: '17 fd00::1 fd00::2 53 54',
      reply: '17 fd00::2 fd00::9 54 99',
      natDone: true,
      timeout: 90,
      seenReply: true,
      mark: 0xffff_fffe,
    },
    {
      original: '17 10.0.0.1 10.0.0.2 53 54',
      reply: '17 10.0.0.9 10.0.0.1 77 53',
      natDone: true,
      timeout: 90,
      zone: 5,
      fixedLife: true,
    },
    { original: '17 10.0.0.1 10.0.0.2 53 54 zone=9', timeout: 90 },
    {
      original: '1 10.0.0.1 10.0.0.2 id=7 type=8 code=0',
      natDone: true,
      timeout: 20,
      reply: '1 10.0.0.2 10.0.0.8 id=9 type=0 code=0',
    },
    {
      original: '58 fd00::1 fd00::2 id=7 type=128 code=0',
      timeout: 20,
      reply: '58 fd00::2 fd00::1 id=7 type=129 code=0',
    },
    {
      original: '132 10.0.0.1 10.0.0.2 5 6',
      timeout: 50,
      natDone: true,
      sctp: { state: 4, tagOriginal: 1, tagReply: 0xffff_ffff },
    },
    { original: '47 10.0.0.1 10.0.0.2 5 6', timeout: 50, natDone: true },
    { original: '200 10.0.0.1 10.0.0.2', timeout: 50, natDone: true },
    {
      original: '6 10.0.0.1 10.0.0.2 1000 21',
      timeout: 300,
      seenReply: true,
      assured: true,
      namedHelper: true,
      helper: 'ftp',
      natDone: true,
      reply: '6 10.0.0.2 10.0.0.7 21 1000',
      shiftOriginal: { position: 5, before: 1, after: 0xffff_ffff },
      shiftReply: { position: 0, before: 0, after: 0 },
      tcp: {
        state: 'established',
        scaleOriginal: 0,
        scaleReply: 0,
        flagsOriginal: 8,
        flagsReply: 8,
      },
    },
    {
      original: '6 10.0.0.2 10.0.0.1 20 1001',
      timeout: 300,
      seenReply: true,
      natDone: true,
      master: '6 10.0.0.1 10.0.0.2 1000 21',
      tcp: { state: 'synSent', scaleOriginal: 0, scaleReply: 0, flagsOriginal: 8, flagsReply: 8 },
    },
  ];

  test('every kind of entry arrives with all that the kernel takes', async () => {
    const twin = await makeTwin('nfa');
    const wanted = written.map((one) => connections.schema.parse(one));
    settle(connections, wanted, twin);
    expect(comparable(connections, readAll(connections, twin))).toEqual(
      comparable(connections, wanted),
    );
  });

  test('an entry of the same addresses that came meanwhile is replaced', async () => {
    const twin = await makeTwin('nfa');
    const [first] = written;
    if (first === undefined) throw new Error('no entry');
    settle(connections, [{ original: first.original, timeout: 5, mark: 9 }], twin);
    settle(connections, written, twin);
    expect(comparable(connections, readAll(connections, twin))).toEqual(
      comparable(connections, written),
    );
  });

  test('an expectation arrives with its master and the rest of its life', async () => {
    const twin = await makeTwin('nfa');
    settle(connections, written, twin);
    const wanted = expectations.schema.parse({
      expected: '6 10.0.0.2 10.0.0.7 0 4000',
      mask: '6 255.255.255.255 255.255.255.255 0 65535',
      master: '6 10.0.0.1 10.0.0.2 1000 21',
      timeout: 77,
      flags: 0,
      kind: 0,
      helper: 'ftp',
      action: 'nat-follow-master',
      nat: { direction: 1, saved: '6 10.0.0.1 0.0.0.0 4000 0' },
    });
    settle(expectations, [wanted], twin);
    const [found] = readAll(expectations, twin);
    expect(found).toEqual({ ...wanted, timeout: found?.timeout });
    expect(found?.timeout).toBeGreaterThan(70);
    expect(found?.timeout).toBeLessThan(78);
  });

  test('ten thousand entries are read and made in one go', async () => {
    const twin = await makeTwin('nfa');
    const many = Array.from({ length: 10_000 }, (_, index): Connection => {
      const [port, mapped] = [1_024 + index, 20_000 + index];
      return {
        original: `6 10.0.0.1 10.1.0.9 ${port} 80`,
        reply: `6 10.1.0.9 192.0.2.1 80 ${mapped}`,
        natDone: true,
        timeout: 432_000,
      };
    });
    const start = performance.now();
    settle(connections, many, twin);
    const made = performance.now();
    expect(readAll(connections, twin)).toHaveLength(many.length);
    const [ms, readMs] = [made - start, performance.now() - made].map((one) => one.toFixed(0));
    console.log(`10,000 connections: made in ${ms} ms, read and checked in ${readMs} ms`);
  });

  test('a namespace that tracks nothing is not asked', async () => {
    const twin = await makeTwin('nfa');
    expect(readAll(connections, twin)).toEqual([]);
    expect(readAll(expectations, twin)).toEqual([]);
  });

  test('a hostile entry does not get past the schema', () => {
    for (const original of ['6 10.0.0.1 fd00::1 1 2', '6 10.0.0.1 10.0.0.2 1 70000', '6 a b', '']) {
      expect(connections.schema.safeParse({ original, timeout: 1 }).success).toBe(false);
    }
  });
});
