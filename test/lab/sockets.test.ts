import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeWorld, type Running, type World } from './world.ts';

const ADDRESS = '10.77.0.170';
const GROUP = '239.77.0.1';
const GROUP6 = 'ff15::77';
const SOCKETS = 'python3 /shared/workloads/sockets.py';

describe('sockets of a job', () => {
  let world: World;

  beforeAll(async () => {
    world = await makeWorld(`sk${process.pid}`, 'a', 'b', 'c');
    const go = 'cd /shared/workloads/echo-go && GOCACHE=/tmp/go go build -o ../echo-server-go .';
    await world.ask('a', go);
  });

  afterAll(async () => {
    await world?.down();
  });

  /** Runs a job, has its move refused with one line and its hint, and ends it: it has gone on. */
  async function refused(command: string, says: RegExp, hint: RegExp): Promise<void> {
    const place = `--l2 --bridge br0 --ip ${ADDRESS}/24`;
    await world.ask('a', `migrate run bad ${place} -- ${command} && sleep 1`);
    try {
      const running = await world.ask('a', 'migrate show bad --json');
      const { code, err } = await world.sh('a', 'migrate bad b --quiet');
      expect(code, err).toBe(10);
      const [first = '', second = '', ...others] = err.trim().split('\n');
      expect(first).toMatch(says);
      expect(second).toMatch(hint);
      expect(others).toEqual(['job: runs on the source']);
      expect(await world.ask('a', 'migrate show bad --json')).toBe(running);
      expect(await world.ask('b', 'migrate ls')).not.toContain('bad');
    } finally {
      await world.ask('a', 'migrate stop bad && { migrate rm bad 2>/dev/null || true; }');
    }
  }

  const line = (program: string, what: string) =>
    new RegExp(
      `^migrate: plan failed on the source: descriptor \\d+ of process \\d+ \\(${program}\\): ${what}`,
    );

  test('a Go program listens with MPTCP: 10, and the variable that turns it off', () =>
    refused(
      '/shared/workloads/echo-server-go 7000',
      line('echo-server-go', 'an MPTCP socket, which CRIU cannot dump$'),
      /^hint: .*GODEBUG=multipathtcp=0/,
    ));

  test('the same program moves with that variable in its environment', async () => {
    const program = 'env GODEBUG=multipathtcp=0 /shared/workloads/echo-server-go 7000';
    await world.ask('a', `migrate run go --l3 --ip ${ADDRESS}/24 -- ${program} && sleep 1`);
    const client = world.start('c', `exec socat - TCP:${ADDRESS}:7000`);
    client.say('before');
    expect(await client.line()).toBe('before');
    await world.move('go', 'a', 'b');
    client.say('after');
    expect(await client.line()).toBe('after');
    await client.end();
    await world.ask('b', 'migrate stop go && { migrate rm go 2>/dev/null || true; }');
  });

  test('a ring of io_uring: 10', () =>
    refused(`${SOCKETS} uring`, line('python3', 'a ring of io_uring'), /^hint: turn io_uring off/));

  test('a netlink socket with data that nobody has read: 10', () =>
    refused(`${SOCKETS} queued`, line('python3', 'a netlink socket with data'), /^hint: /));

  test('a packet socket with a ring: 10', () =>
    refused(`${SOCKETS} ring`, line('python3', 'a packet socket with a ring'), /^hint: /));

  test('a logger that is connected to the host: 10', async () => {
    const bind = 'import socket as s; o = s.socket(s.AF_UNIX, s.SOCK_DGRAM); o.bind("/tmp/log")';
    const log = world.start('a', `exec python3 -uc '${bind}; print(0); input()'`);
    expect(await log.line()).toBe('0');
    await refused(
      `env LOG=/tmp/log ${SOCKETS} logger`,
      line('python3', 'a unix socket connected to a process outside the job'),
      /^hint: .*logger/,
    );
    await log.end();
    await world.ask('a', 'rm -f /tmp/log');
  });

  test('several at once: a line for each', async () => {
    const place = `--l2 --bridge br0 --ip ${ADDRESS}/24`;
    await world.ask('a', `migrate run bad ${place} -- ${SOCKETS} mptcp uring listener && sleep 1`);
    const { code, err } = await world.sh('a', 'migrate bad b --quiet');
    await world.ask('a', 'migrate stop bad && { migrate rm bad 2>/dev/null || true; }');
    expect(code, err).toBe(10);
    const [first, second] = err.split('\n');
    expect(first).toMatch(/: an MPTCP socket/);
    expect(second).toMatch(/^also: descriptor \d+ of process \d+ .*: a ring of io_uring.*[(]turn/);
  });

  test('connections that the job has not accepted are counted before and after: 3', async () => {
    const program = `${SOCKETS} listener`;
    await world.ask('a', `migrate run lazy --l3 --ip ${ADDRESS}/24 -- ${program} && sleep 1`);
    const clients = `exec python3 -uc 'import socket as s
kept = [s.create_connection(("${ADDRESS}", 7000)) for _ in range(3)]
print(len(kept)); input()'`;
    const waiting = world.start('c', clients);
    expect(await waiting.line()).toBe('3');
    const { code, out } = await world.sh('a', 'migrate lazy b --json');
    const lines = out
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text) as Event);
    const lost = expect.stringMatching(/3 connections not accepted yet are lost$/);
    expect(lines.filter(({ type }) => type === 'warning')).toEqual([
      { type: 'warning', message: lost },
    ]);
    expect(lines.at(-1)).toMatchObject({ type: 'result', warnings: [lost] });
    expect(code).toBe(3);
    await waiting.end();
    await world.ask('b', 'migrate stop lazy && { migrate rm lazy 2>/dev/null || true; }');
  });

  for (const place of ['--l3', '--l2 --bridge br0']) {
    test(`${place}: what CRIU forgets is there again, on a connection too, and groups are heard`, async () => {
      const program = 'python3 /shared/workloads/tuned-server.py 7000 eth0';
      await world.ask(
        'a',
        `migrate run tuned ${place} --ip ${ADDRESS}/24 -- ${program} && sleep 1`,
      );
      const client = world.start('c', `exec socat - TCP:${ADDRESS}:7000`);
      const wanted = {
        listener: ['reno', 16],
        deferAccept: true,
        connection: ['reno', 23456, 65536],
        multicast: [7, 9],
      };
      expect(await asked(client, 'options')).toEqual(wanted);
      await tellGroups('before');
      expect(await heard(client, 2)).toEqual(['before', 'before']);
      const { warnings } = await world.move('tuned', 'a', 'b');
      expect(warnings).toEqual([]);
      expect(await asked(client, 'options')).toEqual(wanted);
      await tellGroups('after');
      expect(await heard(client, 4)).toEqual(['before', 'before', 'after', 'after']);
      await client.end();
      await world.ask('b', 'migrate stop tuned && { migrate rm tuned 2>/dev/null || true; }');
    });
  }

  for (const [word, what] of [
    ['uring', 'a ring of io_uring'],
    ['ring', 'a packet socket with a ring'],
  ]) {
    test(`${word}, opened between plan and freeze: 14, with its name, and the job goes on`, async () => {
      const place = `--l2 --bridge br0 --ip ${ADDRESS}/24`;
      const program = 'python3 /shared/workloads/tuned-server.py 7000 eth0';
      await world.ask('a', `migrate run late ${place} -- ${program} && sleep 1`);
      const client = world.start('c', `exec socat - TCP:${ADDRESS}:7000`);
      expect(await asked(client, 'heard')).toEqual([]);
      const move = world.start('a', 'migrate late b --json');
      let said = '';
      while (!said.includes('"prepare"')) said = await move.line();
      expect(await asked(client, word ?? '')).toBe('open');
      const { code, out } = await move.end();
      expect(code, out).toBe(14);
      const error = JSON.parse(out.trim().split('\n').at(-1) ?? '') as { message: string };
      expect(error).toMatchObject({ code: 'DUMP_FAILED', location: 'source-running' });
      expect(error.message).toContain(`(python3): ${what}`);
      expect(await asked(client, 'heard')).toEqual([]);
      await client.end();
      await world.ask('a', 'migrate stop late && { migrate rm late 2>/dev/null || true; }');
    });
  }

  test('raw, netlink and packet sockets, pairs and a connection being made move', async () => {
    const place = `--l2 --bridge br0 --ip ${ADDRESS}/24`;
    const kinds = 'raw netlink packet pair udp connecting';
    await world.ask('a', `migrate run kinds ${place} -- ${SOCKETS} ${kinds} && sleep 1`);
    const { warnings } = await world.move('kinds', 'a', 'b');
    // The packet socket hears the segment, and the program never reads it.
    expect(warnings.filter((warning) => !/had not read is lost$/.test(warning))).toEqual([]);
    expect(await world.ask('b', 'migrate ls')).toMatch(/^kinds\s+l2\s+running/m);
    await world.ask('b', 'migrate stop kinds && { migrate rm kinds 2>/dev/null || true; }');
  });

  test('a file holds them as well, and a device that is missing is a warning', async () => {
    const program = 'python3 /shared/workloads/tuned-server.py 7000 mv0';
    const place = `--l3 --ip ${ADDRESS}/24`;
    await world.ask('a', 'ip link add mv0 link eth0 type macvlan && ip link set mv0 up');
    await world.ask('a', `migrate run tuned ${place} -- ${program} && sleep 1`);
    await world.ask('a', 'migrate checkpoint tuned -o /shared/tuned.bundle');
    const { code, err } = await world.sh('b', 'migrate restore /shared/tuned.bundle');
    expect(code, err).toBe(3);
    expect(err).toMatch(
      /^warning: .*membership in 239[.]77[.]0[.]1 on mv0: the target has no such/m,
    );
    const client = world.start('c', `exec socat - TCP:${ADDRESS}:7000`);
    expect(await asked(client, 'options')).toMatchObject({ listener: ['reno', 16] });
    await client.end();
    await world.ask('b', 'migrate stop tuned && { migrate rm tuned 2>/dev/null || true; }');
    await world.ask('a', 'ip link del mv0; rm /shared/tuned.bundle');
  });

  async function tellGroups(words: string): Promise<void> {
    const tell = 'python3 /shared/workloads/tell-group.py';
    for (const group of [GROUP, GROUP6]) {
      await world.ask('c', `${tell} ${group} 7077 eth0 ${words}`);
    }
  }

  /** Asks until as many datagrams have come; a second is plenty on one segment. */
  async function heard(client: Running, count: number): Promise<unknown> {
    let last: unknown[] = [];
    for (let tries = 0; tries < 10 && last.length < count; tries += 1) {
      last = (await asked(client, 'heard')) as unknown[];
      if (last.length < count) await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return last;
  }
});

interface Event {
  readonly type: string;
}

async function asked(client: Running, words: string): Promise<unknown> {
  client.say(words);
  return JSON.parse(await client.line());
}
