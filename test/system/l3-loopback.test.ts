import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAgent } from '../support/l3-host.ts';
import { type JobHost, type JobName, jobs, makeJobHost } from '../support/l3-jobs.ts';

let host: JobHost;
let agents: JobHost['agents'];

beforeAll(async () => {
  host = await makeJobHost();
  agents = host.agents;
});

afterAll(async () => {
  await host.tearDown();
});

describe('loopback', () => {
  const tcpCases: [JobName, number, string, number, string][] = [
    ['a', 4, '127.0.0.1', 4, '127.0.0.1'],
    ['a', 4, '0.0.0.0', 4, '127.0.0.1'],
    ['a', 4, '0.0.0.0', 4, '127.9.9.9'],
    ['a', 4, '0.0.0.0', 4, '0.0.0.0'],
    ['a', 6, '::1', 6, '::1'],
    ['a', 6, '::', 6, '::1'],
    ['a', 6, '::', 6, '::'],
    ['a', 6, '::', 4, '127.0.0.1'],
    ['a', 6, '::', 6, '::ffff:127.0.0.1'],
    ['a', 6, '::ffff:127.0.0.1', 4, '127.0.0.1'],
    ['four', 4, '0.0.0.0', 4, '127.0.0.1'],
    ['four', 6, '::', 4, '127.0.0.1'],
    ['four', 6, '::', 6, '::1'],
    ['six', 6, '::', 6, '::1'],
    ['six', 4, '0.0.0.0', 4, '127.0.0.1'],
  ];
  test.each(tcpCases)(
    'TCP, job %s: a listener (%i) on %s is reached (%i) at %s, and all names say loopback',
    async (name, listening, address, family, to) => {
      const code = `l = listen(${listening}, '${address}', 7000); result = meet(l, ${family}, '${to}', 7000); stop(l)`;
      const { client, server } = (await agents[name].run(code)) as Record<string, Ends>;
      const isSix = to === '::1' || to === '::';
      const loopback = isSix ? '::1' : '127.0.0.1';
      const seen = (from: string) => (family === 6 && !isSix ? `::ffff:${from}` : from);
      expect(client).toEqual({ name: seen(loopback), peer: seen(loopback), read: 'hello' });
      const mapped = listening === 6 && !isSix ? `::ffff:${loopback}` : loopback;
      expect(server).toEqual({ name: mapped, peer: mapped, said: mapped });
    },
  );

  test('TCP: a listener on 127.0.0.1 is preferred to one on the wildcard', async () => {
    const code = `w = listen(4, '0.0.0.0', 7001); l = listen(4, '127.0.0.1', 7001)
result = meet(l, 4, '127.0.0.1', 7001)['client']['read']; w.close(); stop(l)`;
    expect(await agents.a.run(code)).toBe('hello');
  });

  test('a dual-stack socket has both families if the job has (docs/limits.md)', async () => {
    const code = `u = bound(6, '::', 7104); s = listen(6, '::', 7104)
result = [error_of(lambda: u.sendto(b'x', ('fd99::2', 9))), error_of(lambda: u.sendto(b'x', ('::ffff:10.99.0.2', 9))),
 error_of(lambda: connect(4, '127.0.0.1', 7104)), error_of(lambda: connect(6, '::1', 7104))]; stop(u, s)`;
    expect(await agents.a.run(code)).toEqual(['none', 'none', 'none', 'none']);
    expect(await agents.six.run(code)).toEqual(['none', 'ENETUNREACH', 'ECONNREFUSED', 'none']);
  });

  test('TCP: nobody listens', async () => {
    const code = `result = [error_of(lambda: connect(4, '127.0.0.1', 7002)), error_of(lambda: connect(6, '::1', 7002))]`;
    expect(await agents.a.run(code)).toEqual(['ECONNREFUSED', 'ECONNREFUSED']);
  });

  test('TCP: all members of a SO_REUSEPORT group are reached', async () => {
    const code = `import select
ls = [listen(6, '::', 7003, REUSEPORT) for _ in range(3)]
for _ in range(30): connect(4, '127.0.0.1', 7003)
result = sorted(len(select.select([l], [], [], 0)[0]) for l in ls)
stop(*ls)`;
    expect(await agents.a.run(code)).toEqual([1, 1, 1]);
  });

  const udpCases: [JobName, number, string, number, string][] = [
    ['a', 4, '127.0.0.1', 4, '127.0.0.1'],
    ['a', 4, '0.0.0.0', 4, '127.0.0.1'],
    ['a', 4, '0.0.0.0', 4, '0.0.0.0'],
    ['a', 4, '0.0.0.0', 4, '127.1.2.3'],
    ['a', 6, '::1', 6, '::1'],
    ['a', 6, '::', 4, '127.0.0.1'],
    ['a', 6, '::', 6, '::ffff:127.0.0.1'],
    ['a', 4, '0.0.0.0', 6, '::ffff:127.0.0.1'],
    ['four', 6, '::', 4, '127.0.0.1'],
    ['six', 6, '::', 6, '::1'],
  ];
  test.each(udpCases)(
    'UDP, job %s: a socket (%i) on %s is reached (%i) at %s, unconnected',
    async (name, listening, address, family, to) => {
      const code = `u = bound(${listening}, '${address}', 7100)
result = talk(u, udp(${family}), '${to}', 7100); stop(u)`;
      const isSix = to === '::1';
      const loopback = isSix ? '::1' : '127.0.0.1';
      const server = listening === 6 && !isSix ? `::ffff:${loopback}` : loopback;
      const client = family === 6 && !isSix ? `::ffff:${loopback}` : loopback;
      expect(await agents[name].run(code)).toEqual({
        server: { from: server },
        client: { answer: 'question', from: client },
      });
    },
  );

  test.each(udpCases)(
    'UDP, job %s: a socket (%i) on %s answers a connected client (%i) of %s',
    async (name, listening, address, family, to) => {
      const code = `u = bound(${listening}, '${address}', 7101); c = udp(${family}); c.connect(('${to}', 7101))
c.send(b'ping'); server = echo(u); data, said = c.recvfrom(10)
result = [server, name(c), peer(c), said[0], data.decode()]; stop(u); c.close()`;
      const isSix = to === '::1';
      const loopback = isSix ? '::1' : '127.0.0.1';
      const server = listening === 6 && !isSix ? `::ffff:${loopback}` : loopback;
      const client = family === 6 && !isSix ? `::ffff:${loopback}` : loopback;
      expect(await agents[name].run(code)).toEqual([server, client, client, client, 'ping']);
    },
  );

  test('UDP: two sockets bound to the wildcard talk over 127.0.0.1', async () => {
    const code = `u = bound(4, '0.0.0.0', 7102); v = bound(4, '0.0.0.0', 7103)
result = talk(u, v, '127.0.0.1', 7102); stop(u); v.close()`;
    expect(await agents.a.run(code)).toEqual({
      server: { from: '127.0.0.1' },
      client: { answer: 'question', from: '127.0.0.1' },
    });
  });
});

describe('isolation', () => {
  test('the loopback of the host is not that of a job', async () => {
    await agents.host.run(`l = listen(4, '127.0.0.1', 7200); w = listen(4, '0.0.0.0', 7201)
w6 = listen(6, '::', 7202); l6 = listen(6, '::1', 7200); u = bound(4, '0.0.0.0', 7203); u6 = bound(6, '::', 7204)`);
    for (const [family, port] of [
      [4, 7200],
      [4, 7201],
      [4, 7202],
      [6, 7200],
      [6, 7202],
    ]) {
      const to = family === 4 ? '127.0.0.1' : '::1';
      const code = `result = error_of(lambda: connect(${family}, '${to}', ${port}))`;
      expect(await agents.a.run(code), `${to}:${port}`).toBe('ECONNREFUSED');
    }
    const send = (family: number, to: string, port: number) =>
      `result = error_of(lambda: udp(${family}).sendto(b'x', ('${to}', ${port})))`;
    expect(await agents.a.run(send(4, '127.0.0.1', 7203))).toBe('ECONNREFUSED');
    expect(await agents.a.run(send(4, '127.0.0.1', 7204))).toBe('ECONNREFUSED');
    expect(await agents.a.run(send(6, '::1', 7204))).toBe('ECONNREFUSED');
    await agents.host.run('for s in (l, w, w6, l6, u, u6): stop(s)');
  });

  test('nobody else reaches the loopback of a job', async () => {
    await agents.a.run(`l = listen(4, '127.0.0.1', 7210); l6 = listen(6, '::1', 7210)
u = bound(4, '127.0.0.1', 7211); u6 = bound(6, '::1', 7211)`);
    const attempts = (four: string, six: string) => `result = [
 error_of(lambda: connect(4, '${four}', 7210)), error_of(lambda: connect(6, '${six}', 7210)),
 error_of(lambda: connect(6, '::ffff:${four}', 7210)),
 error_of(lambda: udp(4).sendto(b'x', ('${four}', 7211))), error_of(lambda: udp(6).sendto(b'x', ('${six}', 7211)))]`;
    const refused = Array.from({ length: 5 }, () => 'ECONNREFUSED');
    const { loopback4, loopback6 } = jobs.a;
    expect(await agents.host.run(attempts(loopback4, loopback6))).toEqual(refused);
    // Another job cannot even name it: 127.x.y.z is its own loopback, where nobody listens.
    const other = (await agents.b.run(attempts(loopback4, loopback6))) as string[];
    expect(other.slice(0, 3)).toEqual(refused.slice(0, 3));
    await agents.a.run('u.settimeout(0.1); u6.settimeout(0.1)');
    expect(await agents.a.run('result = error_of(lambda: u.recv(9))')).toBe('timeout');
    expect(await agents.a.run('result = error_of(lambda: u6.recv(9))')).toBe('timeout');
    const bind = `result = [error_of(lambda: tcp(4).bind(('${loopback4}', 0))), error_of(lambda: udp(6).bind(('${loopback6}', 0)))]`;
    expect(await agents.host.run(bind)).toEqual(['EADDRNOTAVAIL', 'EADDRNOTAVAIL']);
  });

  test('nor does a packet from the network, even when it is routed here', async () => {
    host.outside(`ip route replace ${jobs.a.loopback6}/128 via fd99::1`);
    expect(
      await agents.outside.run(
        `result = error_of(lambda: connect(6, '${jobs.a.loopback6}', 7210))`,
      ),
    ).not.toBe('none');
    await agents.outside.run(`udp(6).sendto(b'x', ('${jobs.a.loopback6}', 7211))`);
    expect(await agents.a.run('result = error_of(lambda: u6.recv(9))')).toBe('timeout');
    await agents.a.run('for s in (l, l6, u, u6): stop(s)');
  });

  test('a process that is in no job is not touched', async () => {
    const code = `s = listen(4, '0.0.0.0', 7220); r = [name(s)]; stop(s)
s = listen(4, '127.0.0.1', 7220); r.append(name(s)); r.append(meet(s, 4, '127.0.0.1', 7220)['client']['peer']); stop(s)
s = udp(4); s.connect(('10.99.0.2', 9)); r.append(name(s)); result = r`;
    const seen = ['0.0.0.0', '127.0.0.1', '127.0.0.1', '10.99.0.1'];
    expect(await agents.host.run(code)).toEqual(seen);
  });

  test('a task in a cgroup below the job is in the job', async () => {
    const below = join(host.parent, 'b', 'x', 'y');
    mkdirSync(below, { recursive: true });
    const agent = await startAgent(below);
    expect(await agent.run(`result = name(bound(4, '0.0.0.0', 0))`)).toBe('10.99.0.21');
    await agent.stop();
    rmdirSync(below);
    rmdirSync(join(host.parent, 'b', 'x'));
  });

  test('a network namespace inside the job is its own business', async () => {
    const agent = await startAgent(join(host.parent, 'b'), host.outsidePid);
    expect(await agent.run(`result = name(bound(4, '0.0.0.0', 0))`)).toBe('0.0.0.0');
    await agent.stop();
  });
});

interface Ends {
  readonly name: string;
  readonly peer: string;
}
