import { execaSync } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type JobHost, jobs, makeJobHost, rawListeners } from '../support/l3-jobs.ts';

let host: JobHost;
let agents: JobHost['agents'];

beforeAll(async () => {
  host = await makeJobHost();
  agents = host.agents;
});

afterAll(async () => {
  await host.tearDown();
});

describe('bind', () => {
  test.each(['tcp', 'udp'])('to the wildcard is a bind to the job address: %s', async (kind) => {
    const bindTo = (family: number, address: string) =>
      `s = ${kind}(${family}); s.bind(('${address}', 0)); result = name(s); stop(s)`;
    expect(await agents.a.run(bindTo(4, '0.0.0.0'))).toBe('10.99.0.11');
    expect(await agents.a.run(bindTo(6, '::'))).toBe('::ffff:10.99.0.11');
    expect(await agents.a.run(bindTo(6, '::ffff:0.0.0.0'))).toBe('::ffff:10.99.0.11');
    expect(await agents.four.run(bindTo(4, '0.0.0.0'))).toBe('10.99.0.31');
    expect(await agents.four.run(bindTo(6, '::'))).toBe('::ffff:10.99.0.31');
    expect(await agents.six.run(bindTo(4, '0.0.0.0'))).toBe('127.0.0.1');
    expect(await agents.six.run(bindTo(6, '::'))).toBe('fd99::41');
  });

  test('of a V6ONLY wildcard socket works in a job without IPv6, on its loopback', async () => {
    expect(await agents.four.run(`s = listen(6, '::', 80, V6ONLY); result = name(s)`)).toBe('::1');
    expect(rawListeners(80)).toEqual([`[${jobs.four.loopback6}]`]);
    await agents.four.run('stop(s)');
  });

  test.each(['tcp', 'udp'])('to an address of its own is left alone: %s', async (kind) => {
    const mine = { 4: ['10.99.0.11', '10.99.0.12'], 6: ['fd99::11', 'fd99::12'] };
    for (const [family, addresses] of Object.entries(mine)) {
      for (const address of addresses) {
        const code = `s = ${kind}(${family}); s.bind(('${address}', 5000)); result = name(s)`;
        expect(await agents.a.run(`${code}; stop(s)`)).toBe(address);
      }
    }
    const mapped = `s = ${kind}(6); s.bind(('::ffff:10.99.0.12', 5000)); result = name(s); stop(s)`;
    expect(await agents.a.run(mapped)).toBe('::ffff:10.99.0.12');
  });

  test.each(['tcp', 'udp'])('to a foreign address is EADDRNOTAVAIL: %s', async (kind) => {
    const foreign: [number, string][] = [
      [4, '10.99.0.1'],
      [4, '10.99.0.21'],
      [4, '8.8.8.8'],
      [6, 'fd99::1'],
      [6, 'fd99::21'],
      [6, jobs.b.loopback6],
      [6, '::ffff:10.99.0.1'],
    ];
    for (const [family, address] of foreign) {
      const code = `result = error_of(lambda: ${kind}(${family}).bind(('${address}', 0)))`;
      expect(await agents.a.run(code), address).toBe('EADDRNOTAVAIL');
    }
  });

  test('to a multicast address is left alone', async () => {
    expect(await agents.a.run(`result = name(bound(4, '224.0.0.251', 5353))`)).toBe('224.0.0.251');
    expect(await agents.a.run(`result = name(bound(6, 'ff05::2', 5353))`)).toBe('ff05::2');
  });

  test('to any 127.x.y.z or to ::1 is a bind to the private loopback, shown as 127.0.0.1', async () => {
    expect(await agents.a.run(`s = listen(4, '127.5.6.7', 81); result = name(s)`)).toBe(
      '127.0.0.1',
    );
    expect(rawListeners(81)).toEqual([jobs.a.loopback4]);
    const six = `stop(s); s = listen(6, '::1', 81); result = name(s)`;
    expect(await agents.a.run(six)).toBe('::1');
    expect(rawListeners(81)).toEqual([`[${jobs.a.loopback6}]`]);
    const mapped = `stop(s); s = listen(6, '::ffff:127.0.0.1', 81); result = name(s)`;
    expect(await agents.a.run(mapped)).toBe('::ffff:127.0.0.1');
    await agents.a.run('stop(s)');
  });

  test('to the private loopback itself passes, as a restore does it', async () => {
    for (const [family, address] of [
      [4, jobs.a.loopback4],
      [6, jobs.a.loopback6],
    ]) {
      const shown = family === 4 ? '127.0.0.1' : '::1';
      expect(await agents.a.run(`result = name(bound(${family}, '${address}', 82))`)).toBe(shown);
    }
  });

  test('many jobs listen on the same wildcard port, and each gets its own clients', async () => {
    for (const family of [4, 6]) {
      for (const name of ['a', 'b'] as const) {
        await agents[name].run(`s = listen(${family}, WILD[${family}], 8080); serve(s)`);
      }
      for (const name of ['a', 'b'] as const) {
        const own = family === 4 ? jobs[name].ipv4[0] : jobs[name].ipv6[0];
        const seen = await agents.outside.run(`result = visit(${family}, '${own}', 8080)`);
        expect(seen).toMatchObject({ peer: own, read: 'hello' });
      }
      for (const name of ['a', 'b'] as const) await agents[name].run('stop(s)');
    }
  });

  test('of many jobs to one UDP port', async () => {
    for (const name of ['a', 'b'] as const) {
      await agents[name].run(`s = bound(4, '0.0.0.0', 5300)`);
    }
    for (const name of ['a', 'b'] as const) {
      const own = jobs[name].ipv4[0];
      const served = agents[name].run('result = echo(s); stop(s)');
      const asked = agents.outside.run(`result = ask(udp(4), '${own}', 5300)`);
      expect(await asked).toEqual({ answer: 'question', from: own });
      expect(await served).toBe('10.99.0.2');
    }
  });
});

describe('leaving the host', () => {
  test.each([
    ['a', 4, '10.99.0.2', '10.99.0.11'],
    ['a', 6, 'fd99::2', 'fd99::11'],
    ['a', 6, '::ffff:10.99.0.2', '::ffff:10.99.0.11'],
    ['four', 4, '10.99.0.2', '10.99.0.31'],
    ['four', 6, '::ffff:10.99.0.2', '::ffff:10.99.0.31'],
    ['six', 6, 'fd99::2', 'fd99::41'],
  ] as const)('job %s, family %i, to %s leaves from %s', async (name, family, to, from) => {
    await agents.outside.run(
      `s = listen(6, '::', 9000, DUAL); serve(s); u = bound(6, '::', 9000, DUAL)`,
    );
    const seen = await agents[name].run(`result = visit(${family}, '${to}', 9000)`);
    expect(seen).toEqual({ name: from, peer: to, read: 'hello' });
    const connected = `c = udp(${family}); c.connect(('${to}', 9000)); result = name(c)`;
    expect(await agents[name].run(connected)).toBe(from);
    const served = agents.outside.run('result = echo(u)');
    const asked = await agents[name].run(`result = ask(udp(${family}), '${to}', 9000)`);
    expect(asked).toEqual({ answer: 'question', from: to });
    const plain = from.replace('::ffff:', '');
    expect([plain, `::ffff:${plain}`]).toContain(await served);
    await agents.outside.run('stop(s); stop(u)');
  });

  test('in a family that the job has no address of is ENETUNREACH', async () => {
    const attempt = (family: number, to: string) =>
      `result = [error_of(lambda: tcp(${family}).connect(('${to}', 9))),
        error_of(lambda: udp(${family}).connect(('${to}', 9))),
        error_of(lambda: udp(${family}).sendto(b'x', ('${to}', 9)))]`.replaceAll(/\n\s*/g, ' ');
    const unreachable = ['ENETUNREACH', 'ENETUNREACH', 'ENETUNREACH'];
    expect(await agents.four.run(attempt(6, 'fd99::2'))).toEqual(unreachable);
    expect(await agents.six.run(attempt(4, '10.99.0.2'))).toEqual(unreachable);
  });

  test('over MPTCP, the default of some language runtimes', async () => {
    await agents.outside.run(`s = listen(4, '0.0.0.0', 9001); serve(s)`);
    const code = `m = lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
c = m(); c.settimeout(LIMIT_S); c.connect(('10.99.0.2', 9001)); seen = [name(c)]; c.close()
l = m(); l.settimeout(LIMIT_S); l.bind(('0.0.0.0', 9002)); l.listen(); seen.append(name(l))
seen.append(meet(l, 4, '127.0.0.1', 9002)['client']['read']); stop(l); result = seen`;
    expect(await agents.a.run(code)).toEqual(['10.99.0.11', '10.99.0.11', 'hello']);
    await agents.outside.run('stop(s)');
  });

  test('after a look at several destinations on one socket, as getaddrinfo() does it', async () => {
    const code = `s = udp(4); seen = []
for to in ('10.99.0.2', '127.0.0.1', '10.99.0.2'):
    s.connect((to, 53)); seen.append(name(s))
result = seen`;
    expect(await agents.a.run(code)).toEqual(['10.99.0.11', '127.0.0.1', '10.99.0.11']);
  });

  test('from an address of another job, asked for by IP_PKTINFO, is EADDRNOTAVAIL', async () => {
    const code = (source: string) => `import struct
info = struct.pack('@I4s4s', 0, socket.inet_aton('${source}'), bytes(4))
send = lambda: udp(4).sendmsg([b'x'], [(socket.IPPROTO_IP, 8, info)], 0, ('10.99.0.2', 9))
result = error_of(send)`;
    expect(await agents.a.run(code('10.99.0.1'))).toBe('EADDRNOTAVAIL');
    expect(await agents.a.run(code('10.99.0.12'))).toBe('none');
  });

  test('UDP: a socket that sent before it was bound cannot be connected (docs/limits.md)', async () => {
    const code = `s = udp(4); s.sendto(b'x', ('10.99.0.2', 9)); result = error_of(lambda: s.connect(('10.99.0.2', 9)))`;
    expect(await agents.a.run(code)).toBe('EADDRNOTAVAIL');
  });
});

describe('one dual-stack listener', () => {
  test('of a job with several addresses is reached at all of them', async () => {
    await agents.a.run(`s = listen(6, '::', 7300); serve(s)`);
    for (const address of [...jobs.a.ipv4, ...jobs.a.ipv6]) {
      const family = address.includes(':') ? 6 : 4;
      for (const from of ['outside', 'host', 'b'] as const) {
        const code = `result = visit(${family}, '${address}', 7300)`;
        expect(await agents[from].run(code), `${address} from ${from}`).toMatchObject({
          peer: address,
          read: 'hello',
        });
      }
    }
    await agents.a.run('stop(s)');
  });

  test('that is V6ONLY is not reached over IPv4', async () => {
    await agents.a.run(`s = listen(6, '::', 7301, V6ONLY); serve(s)`);
    const code = (family: number, to: string) =>
      `result = error_of(lambda: connect(${family}, '${to}', 7301))`;
    expect(await agents.outside.run(code(4, '10.99.0.11'))).toBe('ECONNREFUSED');
    expect(await agents.outside.run(code(6, 'fd99::12'))).toBe('none');
    expect(await agents.a.run(code(4, '127.0.0.1'))).toBe('ECONNREFUSED');
    expect(await agents.a.run(code(6, '::1'))).toBe('none');
    await agents.a.run('stop(s)');
  });

  test('that was not bound at all is reached too', async () => {
    const code = `s = tcp(4); s.listen(); p = s.getsockname()[1]; result = meet(s, 4, '127.0.0.1', p)['client']['read']; stop(s)`;
    expect(await agents.a.run(code)).toBe('hello');
  });
});

describe('what a restore does', () => {
  const tcpRepair = 19;
  test.each([
    ['loopback4', 'loopback4'],
    ['loopback4', 'own'],
    ['own', 'loopback4'],
  ])('a connection from %s to %s is put back with its raw addresses', async (from, to) => {
    const address = (which: string) => (which === 'own' ? '10.99.0.11' : jobs.a.loopback4);
    // A listener on the wildcard is there, as it is when CRIU puts connections back.
    const code = `l = listen(4, '0.0.0.0', 7400); s = tcp(4); s.setsockopt(socket.IPPROTO_TCP, ${tcpRepair}, 1)
s.bind(('${address(from)}', 7401)); s.connect(('${address(to)}', 7400)); result = [name(s), peer(s)]`;
    expect(await agents.a.run(code)).toEqual(['127.0.0.1', '127.0.0.1']);
    const raw = execaSync('ss', ['-Htn', 'sport', '=', ':7401']).stdout.split(/\s+/).slice(3, 5);
    expect(raw).toEqual([`${address(from)}:7401`, `${address(to)}:7400`]);
    await agents.a.run(`stop(s); stop(l)`);
  });
});
