import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeWorld, type World } from './world.ts';

const OWN = { 4: '10.77.0.170', 6: 'fd77::170' } as const;
const LOOPBACK = { 4: '127.0.0.1', 6: '::1' } as const;
const WILD = { 4: '0.0.0.0', 6: '::' } as const;
const CLIENT = { 4: '10.77.0.13', 6: 'fd77::13' } as const;
const FAMILIES = [4, 6] as const;
/** The agent listens on the job's own 127.0.0.1. */
const DOOR = 6999;

describe.each(['where it was started', 'where it was moved to'])('an l3 job %s', (place) => {
  const isMoved = place === 'where it was moved to';
  const home = isMoved ? 'b' : 'a';
  const hostAddress = {
    4: isMoved ? '10.77.0.12' : '10.77.0.11',
    6: isMoved ? 'fd77::12' : 'fd77::11',
  };
  let world: World;

  beforeAll(async () => {
    world = await makeWorld(`l3${isMoved ? 'm' : 'r'}${process.pid}`, 'a', 'b', 'c');
    const ip = `--ip ${OWN[4]}/24 --ip ${OWN[6]}/64`;
    const agent = `python3 /shared/workloads/agent-server.py ${DOOR}`;
    await world.ask('a', `migrate run told --l3 ${ip} -- ${agent} && sleep 0.5`);
    if (!isMoved) return;
    for (const family of FAMILIES) {
      const listener = `old${family} = listen(${family}, "${LOOPBACK[family]}", 7${family}00)`;
      const met = `met${family} = meet(old${family}, ${family}, "${LOOPBACK[family]}")[:2]`;
      expect(await inJob(`${listener}; ${met}; result = through(*met${family})`, 'a')).toEqual(
        HEARD,
      );
    }
    await world.move('told', 'a', 'b');
  });

  afterAll(async () => {
    await world?.down();
  });

  /** What a line of Python in the job's program sets `result` to, or the name of its error. */
  async function inJob(program: string, host = home): Promise<unknown> {
    const tellAgent = `migrate exec told -- python3 /shared/workloads/tell-agent.py ${DOOR}`;
    const said = await world.ask(host, `${tellAgent} <<'EOF'\n${program}\nEOF`);
    const { result, error } = JSON.parse(said) as { result?: unknown; error?: string };
    return error ?? result;
  }

  /** Connects from the client's host and reads a word. */
  function visit(address: string, port: number): Promise<string> {
    const program = `import socket; print(socket.create_connection(("${address}", ${port}), 5).recv(5).decode())`;
    return world.ask('c', `python3 -c '${program}'`);
  }

  test('a bind to the wildcard is a bind to its own address, TCP and UDP', async () => {
    for (const family of FAMILIES) {
      const wild = WILD[family];
      await inJob(
        `l${family} = listen(${family}, "${wild}", 80); u${family} = udp(${family}, "${wild}", 81)`,
      );
    }
    const sockets = await world.ask(home, "ss -Htuln '( sport = :80 or sport = :81 )'");
    expect(sockets).toContain(`${OWN[4]}:80`);
    expect(sockets).toContain(`[${OWN[6]}]:80`);
    expect(sockets).toContain(`${OWN[4]}:81`);
    expect(sockets).toContain(`[${OWN[6]}]:81`);
    expect(sockets).not.toMatch(/(0\.0\.0\.0|\*|\[::\]):8[01]/);
    // The host's own wildcard is free for the host.
    const host = `import socket; socket.create_server(("${hostAddress[4]}", 80)).close()`;
    await world.ask(home, `python3 -c '${host}'`);
  });

  test('one listener for both families answers on the addresses of both', async () => {
    expect(await inJob('both = listen(6, "::", 8080, dual=True)')).toBeNull();
    for (const family of FAMILIES) {
      const serve =
        'import threading; threading.Thread(target=lambda: both.accept()[0].sendall(b"hello")).start()';
      expect(await inJob(serve)).toBeNull();
      expect(await visit(OWN[family], 8080)).toBe('hello');
    }
  });

  test('a bind to an address of the host fails with EADDRNOTAVAIL', async () => {
    for (const family of FAMILIES) {
      const foreign = hostAddress[family];
      expect(await inJob(`listen(${family}, "${foreign}", 82)`)).toBe('EADDRNOTAVAIL');
      expect(await inJob(`udp(${family}, "${foreign}", 82)`)).toBe('EADDRNOTAVAIL');
    }
  });

  test('an unbound connect or sendto leaves from its own address', async () => {
    for (const family of FAMILIES) {
      const port = 9000 + family;
      const observer = world.start('c', `exec python3 -c '${observe(family, port)}'`);
      expect(await observer.line()).toBe('ready');
      const to = `("${CLIENT[family]}", ${port})`;
      await inJob(
        `s = connect(${family}, "${CLIENT[family]}", ${port}); result = s.getsockname()[0]`,
      );
      expect(await observer.line()).toBe(OWN[family]);
      await inJob(`d = udp(${family}); d.sendto(b"word", ${to})`);
      expect(await observer.line()).toBe(OWN[family]);
      await observer.end();
    }
  });

  test('loopback reaches the job alone, and both names say loopback', async () => {
    for (const family of FAMILIES) {
      const own = LOOPBACK[family];
      const both = [
        [own, own],
        [own, own],
      ];
      const met = `l = listen(${family}, "${own}", 83); c, s, said = meet(l, ${family}, "${own}")`;
      const see = 'result = [names(c, s), said, through(c, s)]';
      expect(await inJob(`${met}; ${see}`)).toEqual([both, own, HEARD]);
      const datagram = `x = udp(${family}, "${own}", 84); y = udp(${family}); y.sendto(b"word", ("${own}", 84))`;
      expect(await inJob(`${datagram}; result = x.recvfrom(9)[1][0]`)).toBe(own);
      // Neither sees the other's: the host's sshd is on every address of the host, 127.0.0.1 too.
      expect(await inJob(`connect(${family}, "${own}", 22)`)).toBe('ECONNREFUSED');
      const host = `import socket; print(socket.socket(socket.AF_INET${family === 6 ? '6' : ''}).connect_ex(("${own}", 83)))`;
      expect(await world.ask(home, `python3 -c '${host}'`)).toBe('111');
    }
  });

  if (!isMoved) return;

  test('connections over loopback have moved with it', async () => {
    for (const family of FAMILIES) {
      const own = LOOPBACK[family];
      expect(await inJob(`result = through(*met${family})`)).toEqual(HEARD);
      expect(await inJob(`result = names(*met${family})`)).toEqual([
        [own, own],
        [own, own],
      ]);
      expect(await inJob(`result = meet(old${family}, ${family}, "${own}")[2]`)).toBe(own);
    }
  });
});

const HEARD = ['there', 'back!'];

/** A program for the client's host: says who connected, then who sent a datagram. */
function observe(family: 4 | 6, port: number): string {
  return `
import socket
f = socket.AF_INET${family === 6 ? '6' : ''}
t, u = socket.create_server(("", ${port}), family=f), socket.socket(f, socket.SOCK_DGRAM)
u.bind(("", ${port}))
t.settimeout(20); u.settimeout(20)
print("ready", flush=True)
print(t.accept()[1][0], flush=True)
print(u.recvfrom(9)[1][0], flush=True)`;
}
