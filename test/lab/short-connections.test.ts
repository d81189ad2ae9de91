import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { watchResets } from './web-clients.ts';
import { makeWorld, tell, type World } from './world.ts';

const NGINX = 'nginx -c /shared/workloads/nginx.conf';
const JOBS = [
  { name: 'inner', network: '--l3', v4: '10.77.0.141', v6: 'fd77::141' },
  { name: 'outer', network: '--l2 --bridge br0', v4: '10.77.0.142', v6: 'fd77::142' },
] as const;
const MOVES = 4;
/** More than a client takes that reads nothing, less than a server's kernel does. */
const UNSENT_BYTES = 200_000;
/** Connects, reads nothing, and ends with its standard input. */
const RELUCTANT = `
import socket, sys
client = socket.socket()
client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
client.connect((sys.argv[1], 80))
print("connected", flush=True)
sys.stdin.read()
`;

describe('connections of one request each, which the server closes', () => {
  let world: World;

  beforeAll(async () => {
    world = await makeWorld(`sc${process.pid}`, 'a', 'b', 'c');
    for (const host of ['a', 'b']) await world.ask(host, 'echo page >/var/www/html/page');
    for (const { name, network, v4, v6 } of JOBS) {
      const ip = `--ip ${v4}/24 --ip ${v6}/64`;
      await world.ask('a', `migrate run ${name} ${network} ${ip} -- ${NGINX}`);
    }
  });

  afterAll(async () => {
    await world?.down();
  });

  test.each(JOBS)('$name: none fails and none is reset', async ({ name, v4, v6 }) => {
    const resets = await watchResets(world, 'c');
    const clients = [v4, v6].map((address) =>
      world.start('c', `exec python3 /shared/workloads/short-requests.py ${address} page`),
    );
    for (const client of clients) expect(await client.line()).toBe('ready');
    const frozen: number[] = [];
    for (let move = 0; move < MOVES; move += 1) {
      const [from, to] = move % 2 === 0 ? ['a', 'b'] : ['b', 'a'];
      const moved = await world.move(name, from, to);
      frozen.push(moved.frozenMs);
      expect(moved.warnings).toEqual([]);
    }
    const said = await Promise.all(
      clients.map(async (client) => JSON.parse((await client.end()).out) as Said),
    );
    expect(said.map(({ error }) => error)).toEqual([null, null]);
    tell(`${MOVES} moves of ${name} under short connections`, {
      requests: said.reduce((sum, { requests }) => sum + requests, 0),
      'longest frozen (ms)': Math.max(...frozen),
    });
    const late = new Set(said.flatMap(({ late }) => late));
    const { code, out } = await resets.end();
    expect(code).toBe(0);
    expect(out.split('\n').filter((line) => line !== '' && !late.has(portIn(line)))).toEqual([]);
  });

  test('what the kernel still had to send on one that was closed is told as lost', async () => {
    const address = '10.77.0.143';
    const server = `python3 /shared/workloads/hasty-server.py 80 ${UNSENT_BYTES}`;
    await world.ask('a', `migrate run hasty --l3 --ip ${address}/24 -- ${server} && sleep 0.5`);
    const client = world.start('c', `exec python3 -c '${RELUCTANT}' ${address}`);
    expect(await client.line()).toBe('connected');
    const { warnings } = await world.move('hasty', 'a', 'b');
    expect(warnings).toEqual([
      expect.stringMatching(/^a connection that the job had closed .* had \d+ bytes left to send/),
    ]);
    await client.end();
  });
});

interface Said {
  readonly requests: number;
  readonly error: string | null;
  /** Ports of connections that the client closed so late that the job had moved meanwhile. */
  readonly late: readonly number[];
}

/** The client's, in a line of tcpdump: `IP 10.0.0.1.80 > 10.0.0.7.40000: Flags [R], ...`. */
function portIn(line: string): number {
  return Number(/\.(\d+): Flags/.exec(line)?.[1]);
}
