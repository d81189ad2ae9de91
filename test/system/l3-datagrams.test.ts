import { release } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type JobHost, jobs, makeJobHost } from '../support/l3-jobs.ts';

const [major = 0, minor = 0] = release().split('.').map(Number);
const hasTcx = major > 6 || (major === 6 && minor >= 6);
const testDevices = test.skipIf(!hasTcx); // programs at devices: tcx, Linux 6.6

let host: JobHost;
let agents: JobHost['agents'];

beforeAll(async () => {
  host = await makeJobHost();
  agents = host.agents;
  expect(host.seesDevices).toBe(hasTcx);
});

afterAll(async () => {
  await host.tearDown();
});

const from = ['outside', 'host', 'b'] as const;

/** A question to an address, and its echo by the socket `u` of job a. */
async function asked(who: (typeof from)[number], address: string, port: number) {
  const family = address.includes(':') ? 6 : 4;
  const served = agents.a.run(`result = error_of(lambda: echo(u))`);
  const ask = `result = ask(udp(${family}), '${address}', ${port})['answer']`;
  const answer = await agents[who].run(ask).catch(String);
  expect(await served, `${address} from ${who}`).toBe('none');
  return answer;
}

describe('UDP on the wildcard', () => {
  testDevices(
    'of a job with several addresses is reached at each of them, of its family',
    async () => {
      for (const family of [4, 6]) {
        const addresses = family === 4 ? jobs.a.ipv4 : jobs.a.ipv6;
        await agents.a.run(
          `u = bound(${family}, WILD[${family}], 7500, *[V6ONLY][:${family === 6 ? 1 : 0}])`,
        );
        for (const who of from) {
          for (const address of addresses) {
            expect(await asked(who, address, 7500)).toBe('question');
          }
        }
        await agents.a.run('stop(u)');
      }
    },
  );

  testDevices('on a dual-stack socket, at each of them of both families', async () => {
    await agents.a.run(`u = bound(6, '::', 7501)`);
    for (const who of from) {
      for (const address of [...jobs.a.ipv4, ...jobs.a.ipv6]) {
        expect(await asked(who, address, 7501)).toBe('question');
      }
    }
    await agents.a.run('stop(u)');
  });

  testDevices(
    'is not reached where a socket is bound exactly, before or after the first packet',
    async () => {
      await agents.a.run(`w = bound(4, '0.0.0.0', 7502); u = w`);
      expect(await asked('outside', '10.99.0.12', 7502)).toBe('question');
      await agents.a.run(`u = bound(4, '10.99.0.12', 7502)`);
      expect(await asked('outside', '10.99.0.12', 7502)).toBe('question');
      await agents.a.run('stop(u); u = w');
      expect(await asked('outside', '10.99.0.12', 7502)).toBe('question');
      await agents.a.run('stop(w)');
    },
  );

  testDevices('comes before a socket of the host on its own wildcard', async () => {
    await agents.host.run(`w = bound(6, '::', 7503, DUAL, REUSEADDR)`);
    await agents.a.run(`u = bound(6, '::', 7503, REUSEADDR)`);
    for (const address of [...jobs.a.ipv4, ...jobs.a.ipv6]) {
      expect(await asked('outside', address, 7503)).toBe('question');
    }
    await agents.a.run('stop(u)');
    await agents.host.run('stop(w)');
  });

  testDevices(
    'answers from the primary address, and from the one it was asked at if it says so',
    async () => {
      const code = `import struct
u = bound(4, '0.0.0.0', 7504, (socket.IPPROTO_IP, 8, 1))
def answer(pktinfo):
    data, more, flags, who = u.recvmsg(100, 100)
    asked_at = more[0][2][8:12]
    info = [(socket.IPPROTO_IP, 8, struct.pack('@I4s4s', 0, asked_at, bytes(4)))] if pktinfo else []
    u.sendmsg([data], info, 0, who)
    return socket.inet_ntoa(asked_at)`;
      await agents.a.run(code);
      for (const pktinfo of [false, true]) {
        const served = agents.a.run(`result = answer(${pktinfo ? 'True' : 'False'})`);
        const { from } = (await agents.outside.run(`result = ask(udp(4), '10.99.0.12', 7504)`)) as {
          from: string;
        };
        expect(await served).toBe('10.99.0.12');
        expect(from).toBe(pktinfo ? '10.99.0.12' : '10.99.0.11');
      }
      await agents.a.run('stop(u)');
    },
  );

  testDevices(
    'that shares its port with others of the job (SO_REUSEPORT) shares the work',
    async () => {
      await agents.a.run(`us = [bound(4, '0.0.0.0', 7505, REUSEPORT) for _ in range(3)]`);
      await agents.outside.run(`[udp(4).sendto(b'x', ('10.99.0.12', 7505)) for _ in range(60)]`);
      const count = `import select, time; time.sleep(0.1)
def drain(s):
    n = 0
    while select.select([s], [], [], 0)[0]: s.recv(9); n += 1
    return n
result = [drain(s) for s in us]; stop(*us)`;
      const counts = (await agents.a.run(count)) as number[];
      expect(counts.reduce((sum, one) => sum + one, 0)).toBe(60);
      expect(counts.filter((one) => one > 0).length).toBeGreaterThan(1);
    },
  );
});

describe('a dual-stack UDP socket that is bound', () => {
  test('sends to both families from the primary address of each', async () => {
    await agents.outside.run(`w = bound(6, '::', 7510, DUAL)`);
    await agents.a.run(`u = bound(6, '::', 7511)`);
    for (const [to, source] of [
      ['::ffff:10.99.0.2', '::ffff:10.99.0.11'],
      ['fd99::2', 'fd99::11'],
    ]) {
      await agents.a.run(`u.sendto(b'x', ('${to}', 7510))`);
      expect(await agents.outside.run('result = list(w.recvfrom(9)[1][:2])')).toEqual([
        source,
        7511,
      ]);
    }
    await agents.a.run('stop(u)');
    await agents.outside.run('stop(w)');
  });

  testDevices('talks over both loopbacks', async () => {
    for (const to of ['127.0.0.1', '::1']) {
      const family = to === '::1' ? 6 : 4;
      const code = `u = bound(6, '::', 7512); result = talk(u, udp(${family}), '${to}', 7512); stop(u)`;
      expect(await agents.a.run(code)).toEqual({
        server: { from: family === 6 ? to : `::ffff:${to}` },
        client: { answer: 'question', from: to },
      });
      const connected = `u = bound(6, '::', 7513); c = udp(${family}); c.connect(('${to}', 7513))
c.send(b'ping'); s = echo(u); result = [s, name(c), peer(c), c.recv(9).decode()]; stop(u, c)`;
      expect(await agents.a.run(connected)).toEqual([
        family === 6 ? to : `::ffff:${to}`,
        to,
        to,
        'ping',
      ]);
    }
  });
});

describe('multicast and broadcast', () => {
  const groups = [
    [4, '239.1.2.3', '10.99.0.11'],
    [6, 'ff15::77', 'fd99::11'],
  ] as const;

  test.each(groups)(
    'IPv%i: what is sent to %s leaves from %s on its device',
    async (family, group, own) => {
      const join =
        family === 4
          ? `(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton('${group}') + socket.inet_aton('10.99.0.2'))`
          : `(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, '${group}') + __import__('struct').pack('@I', socket.if_nametoindex('v1')))`;
      await agents.outside.run(`m = bound(${family}, WILD[${family}], 7600, ${join})`);
      const ways = [
        `d = udp(${family})`,
        `d = bound(${family}, '${own}', 7601)`,
        `d = bound(${family}, WILD[${family}], 7601)`,
      ];
      for (const way of ways) {
        await agents.a.run(`${way}; d.sendto(b'x', ('${group}', 7600)); stop(d)`);
        expect(await agents.outside.run('result = m.recvfrom(9)[1][0]'), way).toBe(own);
      }
      const connected = `d = udp(${family}); d.connect(('${group}', 7600)); d.send(b'x'); result = name(d); stop(d)`;
      expect(await agents.a.run(connected)).toBe(own);
      expect(await agents.outside.run('result = m.recvfrom(9)[1][0]')).toBe(own);
      await agents.outside.run('stop(m)');
    },
  );

  test.each(['10.99.0.255', '255.255.255.255'])(
    'what is sent to %s leaves from the own address',
    async (to) => {
      await agents.outside.run(`w = bound(4, '0.0.0.0', 7610)`);
      const broadcast = '(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)';
      for (const way of [
        `udp(4, ${broadcast})`,
        `bound(4, '0.0.0.0', 7611, ${broadcast})`,
        `bound(4, '10.99.0.12', 7611, ${broadcast})`,
      ]) {
        await agents.a.run(`d = ${way}; d.sendto(b'x', ('${to}', 7610)); stop(d)`);
        const source = way.includes('10.99.0.12') ? '10.99.0.12' : '10.99.0.11';
        expect(await agents.outside.run('result = w.recvfrom(9)[1][0]'), way).toBe(source);
      }
      expect(
        await agents.a.run(`result = error_of(lambda: udp(4).sendto(b'x', ('${to}', 7610)))`),
      ).toBe('EACCES');
      await agents.outside.run('stop(w)');
    },
  );

  test('a broadcast is received by a socket that is bound to that address', async () => {
    for (const to of ['10.99.0.255', '255.255.255.255']) {
      await agents.a.run(`u = bound(4, '${to}', 7620)`);
      const send = `s = bound(4, '10.99.0.2', 7621, (socket.SOL_SOCKET, socket.SO_BROADCAST, 1))
s.sendto(b'hello', ('${to}', 7620)); stop(s)`;
      await agents.outside.run(send);
      expect(await agents.a.run('result = u.recvfrom(9)[1][0]')).toBe('10.99.0.2');
      // It answers from the job's address, and is not connected from a wrong one.
      await agents.outside.run(`w = bound(4, '0.0.0.0', 7622)`);
      await agents.a.run(`u.sendto(b'x', ('10.99.0.2', 7622))`);
      expect(await agents.outside.run('result = w.recvfrom(9)[1][0]; stop(w)')).toBe('10.99.0.11');
      const connect = `result = error_of(lambda: u.connect(('10.99.0.2', 7622))); stop(u)`;
      expect(await agents.a.run(connect)).toBe('EADDRNOTAVAIL');
    }
    const foreign = `result = error_of(lambda: udp(4).bind(('10.99.0.255', 7620)))`;
    expect(await agents.b.run(foreign)).toBe('EADDRNOTAVAIL');
  });

  test('a group that the job joined is received by a socket that is bound to it', async () => {
    const join = `(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton('239.1.2.4') + socket.inet_aton('10.99.0.11'))`;
    await agents.a.run(`u = bound(4, '239.1.2.4', 7630, ${join})`);
    await agents.outside.run(
      `s = bound(4, '10.99.0.2', 0); s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton('10.99.0.2')); s.sendto(b'x', ('239.1.2.4', 7630)); stop(s)`,
    );
    expect(await agents.a.run('result = u.recvfrom(9)[1][0]; stop(u)')).toBe('10.99.0.2');
  });
});
