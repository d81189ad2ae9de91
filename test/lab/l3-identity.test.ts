import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeWorld, type World } from './world.ts';

const FIRST = '10.77.0.156';
const SECOND = '10.77.0.157';
const SIX = 'fd77::156';
const DOOR = 6997;
const SERVER = `python3 /shared/workloads/agent-server.py ${DOOR}`;
const TELL = `python3 /shared/workloads/tell-agent.py ${DOOR}`;

let world: World;

beforeAll(async () => {
  world = await makeWorld(`li${process.pid}`, 'a', 'b', 'c');
});

afterAll(async () => {
  await world?.down();
});

/** What a line of Python in the job's program sets `result` to, or the name of its error. */
async function told(host: string, job: string, program: string): Promise<unknown> {
  const said = await world.ask(host, `migrate exec ${job} -- ${TELL} <<'EOF'\n${program}\nEOF`);
  const { result, error } = JSON.parse(said) as { result?: unknown; error?: string };
  return error ?? result;
}

interface Seen {
  readonly local: string;
  readonly prefixlen: number;
  readonly [setting: string]: unknown;
}

/** The addresses of eth0 on a host that are a job's. */
async function addresses(host: string, ...wanted: string[]): Promise<Seen[]> {
  const [link] = JSON.parse(await world.ask(host, 'ip -j addr show dev eth0')) as {
    addr_info: Seen[];
  }[];
  const found = (link?.addr_info ?? []).filter(({ local }) => wanted.includes(local));
  return found.toSorted((one, other) => (one.local < other.local ? -1 : 1));
}

describe('raw sockets', () => {
  const attempts = `result = [error_of(lambda: socket.socket(f, socket.SOCK_RAW, p)) for f, p in
 ((socket.AF_INET, 1), (socket.AF_INET6, 58), (17, 0))] + [error_of(lambda: socket.socket(17, 2, 0))]`;
  const refused = ['EPERM', 'EPERM', 'EPERM', 'EPERM'];
  const granted = ['none', 'none', 'none', 'none'];

  test('are refused to a job of root, and to what is run in it', async () => {
    await world.ask('a', `migrate run plain --l3 --ip ${FIRST}/24 -- ${SERVER} && sleep 0.5`);
    expect(await told('a', 'plain', attempts)).toEqual(refused);
    const code = `import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)`;
    const { code: status, err } = await world.sh('a', `migrate exec plain -- python3 -c '${code}'`);
    expect([status, err]).toEqual([1, expect.stringContaining('Operation not permitted')]);
    await world.move('plain', 'a', 'b');
    expect(await told('b', 'plain', attempts)).toEqual(refused);
    await world.ask('b', 'migrate stop plain && migrate rm plain');
  });

  test('are had where they were granted, and the grant and an open one move', async () => {
    const run = `migrate run raw --l3 --ip ${FIRST}/24 --allow raw -- ${SERVER} && sleep 0.5`;
    await world.ask('a', run);
    expect(await told('a', 'raw', attempts)).toEqual(granted);
    const open = `ping = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); ping.settimeout(3)`;
    expect(await told('a', 'raw', open)).toBeNull();
    await world.move('raw', 'a', 'b');
    expect(await told('b', 'raw', attempts)).toEqual(granted);
    const echo = `ping.sendto(bytes.fromhex('0800f7fd00010001'), ('10.77.0.13', 0)); result = ping.recv(99)[20]`;
    expect(await told('b', 'raw', echo)).toBe(0);
    expect(JSON.parse(await world.ask('b', 'migrate show raw --json'))).toMatchObject({
      allow: ['raw'],
    });
    await world.ask('b', 'migrate stop raw && migrate rm raw');
  });
});

describe('the addresses of a job', () => {
  test('move with what somebody has set on them, and need no duplicate detection', async () => {
    const ip = `--ip ${FIRST}/24 --ip ${SECOND}/24 --ip ${SIX}/64`;
    await world.ask('a', `migrate run set --l3 ${ip} --dev eth0 -- ${SERVER} && sleep 0.5`);
    await world.ask(
      'a',
      `ip addr del ${SECOND}/32 dev eth0
       ip addr add ${SECOND}/32 dev eth0 label eth0:two valid_lft 3000 preferred_lft 2000
       ip addr change ${SIX}/128 dev eth0 nodad home preferred_lft 0 valid_lft 4000`,
    );
    // A host that would test each new address for a second.
    await world.ask(
      'b',
      'sysctl -qw net.ipv6.conf.eth0.accept_dad=1 net.ipv6.conf.eth0.dad_transmits=1 net.ipv6.conf.all.accept_dad=1',
    );
    await world.move('set', 'a', 'b');
    expect(await addresses('a', FIRST, SECOND, SIX)).toEqual([]);
    const [first, second, six] = await addresses('b', FIRST, SECOND, SIX);
    expect(first).toMatchObject({ prefixlen: 32, scope: 'global', label: 'eth0' });
    expect(second).toMatchObject({ prefixlen: 32, label: 'eth0:two' });
    expect(six).toMatchObject({ prefixlen: 128, nodad: true, home: true });
    expect(six).not.toHaveProperty('tentative');
    for (const [seen, valid, preferred] of [
      [second, 3000, 2000],
      [six, 4000, 0],
    ] as const) {
      expect(Number(seen?.valid_life_time) - valid).toBeGreaterThan(-60);
      expect(Number(seen?.valid_life_time)).toBeLessThanOrEqual(valid);
      expect(Number(seen?.preferred_life_time) - preferred).toBeGreaterThan(-60);
      expect(Number(seen?.preferred_life_time)).toBeLessThanOrEqual(preferred);
    }
    await world.ask('b', 'migrate stop set && migrate rm set');
  });

  test('are not what the host itself moves the job from', async () => {
    await world.ask('a', `migrate run own --l3 --ip ${SIX}/64 -- ${SERVER} && sleep 0.5`);
    await world.ask('a', `ip addr change ${SIX}/128 dev eth0 nodad preferred_lft forever`);
    // The address is the best match for any destination now.
    const { code, err } = await world.sh('a', 'migrate own fd77::12 --quiet');
    expect(code, err).toBe(10);
    expect(err).toContain(`leaves from ${SIX}, which is the job's own address`);
    await world.ask('a', 'migrate stop own && migrate rm own');
  });

  test('do not hang on those of another job in the same subnet', async () => {
    await world.ask('a', `migrate run one --l3 --ip 10.79.0.1/24 --dev eth0 -- sleep 999`);
    await world.ask(
      'a',
      `migrate run two --l3 --ip 10.79.0.2/24 --ip 10.79.0.3/24 --dev eth0 -- ${SERVER} && sleep 0.5`,
    );
    await world.ask('a', 'migrate stop one && migrate rm one');
    const left = await addresses('a', '10.79.0.1', '10.79.0.2', '10.79.0.3');
    expect(left.map(({ local }) => local)).toEqual(['10.79.0.2', '10.79.0.3']);
    expect(left.map(({ secondary }) => secondary)).toEqual([undefined, undefined]);
    // The host has no address there: the way into it and its broadcast address came with the job.
    const listener = world.start(
      'c',
      `ip addr add 10.79.0.13/24 broadcast + dev eth0; exec python3 -u -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 7777)); s.settimeout(20)
print("ready"); print(s.recvfrom(9)[1][0])'`,
    );
    expect(await listener.line()).toBe('ready');
    const send = `d = udp(4); d.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1); d.sendto(b"x", ("10.79.0.255", 7777))`;
    expect(await told('a', 'two', send)).toBeNull();
    expect(await listener.line()).toBe('10.79.0.2');
    await listener.end();
    await world.ask('a', 'migrate stop two && migrate rm two');
    expect(await world.ask('a', 'ip route show table all proto 77')).toBe('');
  });

  test('are not taken from somebody who has them, by run or by restore', async () => {
    await world.ask('a', `migrate run kept --l3 --ip ${FIRST}/24 --ip ${SIX}/64 -- ${SERVER}`);
    const before = await world.ask('b', 'ip addr show dev eth0');
    for (const wanted of [`${FIRST}/24`, `${SIX}/64`, '10.77.0.13/24', 'fd77::13/64']) {
      const { code, err } = await world.sh('b', `migrate run other --l3 --ip ${wanted} -- sleep 9`);
      expect(code, wanted).toBe(1);
      expect(err).toContain(
        `address ${wanted.replace(/\/.*/, '')} is in use on the network of eth0`,
      );
    }
    await world.ask('a', 'migrate checkpoint kept -o /shared/kept.bundle --leave-running');
    const { code, err } = await world.sh('b', 'migrate restore /shared/kept.bundle');
    expect(code).toBe(1);
    expect(err).toMatch(/is in use on the network of eth0, by 02:77/);
    expect(await world.ask('b', 'ip addr show dev eth0')).toBe(before);
    expect(await world.ask('b', 'migrate ls')).not.toMatch(/other|kept/);
    expect(await told('a', 'kept', 'result = "well"')).toBe('well');
    await world.ask('a', 'migrate stop kept && migrate rm kept');
    await world.ask('b', 'migrate restore /shared/kept.bundle');
    expect(await told('b', 'kept', 'result = "well"')).toBe('well');
    await world.ask('b', 'migrate stop kept && migrate rm kept');
  });

  test('need a device of that name on the target if --dev named one', async () => {
    await world.ask('a', 'ip link add spare0 type bridge && ip link set spare0 up');
    await world.ask('a', 'migrate run dev --l3 --ip 10.78.0.1/24 --dev spare0 -- sleep 999');
    const { code, err } = await world.sh('a', 'migrate dev b --quiet');
    expect([code, err]).toEqual([10, expect.stringContaining('this host has no device spare0')]);
    await world.ask('a', 'migrate stop dev && migrate rm dev && ip link del spare0');
  });
});
