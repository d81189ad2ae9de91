import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addressesOn, single, startTraffic, type Traffic } from '../lab/l3-traffic.ts';
import { makeWorld, tell, type World } from '../lab/world.ts';

/** What the kernel says of the rights of the job's program on a host. */
const RIGHTS = `
  pid=$(pgrep -u alice -f '^python3 .*l3-traffic') || exit 0
  grep -E '^(Uid|Gid|Groups|Cap...|NoNewPrivs):' /proc/$pid/status
  grep -E '^Max (open files|processes|core file size)' /proc/$pid/limits
`;
/** CAP_NET_RAW, capability 13. */
const RAW = 1n << 13n;
const DOOR = 6998;

describe('an l3 job of an ordinary user with two addresses of each family', () => {
  let world: World;
  let traffic: Traffic;
  let rights = '';

  beforeAll(async () => {
    world = await makeWorld(`vl${process.pid}`, 'a', 'b', 'c', '--backend', 'vm');
    for (const host of ['a', 'b']) await world.ask(host, 'usermod -a -G users alice');
    const before = 'prlimit --nofile=777 --nproc=888 --core=0 --pid $$';
    traffic = await startTraffic(world, { user: 'alice', before });
  });

  afterAll(async () => {
    await world?.down();
  });

  test('starts with the rights and limits of that user, and cannot get raw sockets', async () => {
    rights = await world.ask('a', RIGHTS);
    expect(rights).toMatch(/^Uid:\t1001\t1001\t1001\t1001$/m);
    expect(rights).toMatch(/^Groups:\t100 1001 ?$/m);
    expect(rights).toMatch(/^Max open files +777 +777 /m);
    expect(rights).toMatch(/^Max processes +888 +888 /m);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) {
      expect(rights).toMatch(new RegExp(`^${set}:\t0+$`, 'm'));
    }
    expect(capabilities(rights, 'CapBnd') & RAW).toBe(0n);
  });

  test('moves with its addresses, rights and limits', async () => {
    expect(await addressesOn(world, 'a')).toEqual(single);
    const { frozenMs, totalMs } = await world.move('traffic', 'a', 'b');
    expect(await addressesOn(world, 'a')).toEqual([]);
    expect(await addressesOn(world, 'b')).toEqual(single);
    expect(await world.ask('b', RIGHTS)).toBe(rights);
    expect(await world.ask('a', RIGHTS)).toBe('');
    tell('job of a user, two addresses of each family', {
      'frozen (ms)': frozenMs,
      'total (ms)': totalMs,
    });
  });

  test('has kept every promise: wildcards, TCP and UDP both ways, both loopbacks', async () => {
    const { peer, job } = await traffic.judge('b');
    expect(peer).toMatch(/^PASS\n/);
    expect(job).toMatch(/^PASS\n/);
    tell('the peer', { says: peer.trim().replaceAll('\n', ', ') });
    tell('the job', { says: job.trim().replaceAll('\n', ', ') });
  });

  test('that was granted raw sockets has them, and has them after a move', async () => {
    const server = `python3 /shared/workloads/agent-server.py ${DOOR}`;
    const words = '--l3 --ip 10.77.0.152/24 --allow raw --user alice';
    await world.ask('a', `migrate run raw ${words} -- ${server} && sleep 1`);
    const tellAgent = `migrate exec raw -- python3 /shared/workloads/tell-agent.py ${DOOR}`;
    const open = `old = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); packet = socket.socket(17, 3, 0); packet.close(); result = "open"`;
    const told = (host: string): Promise<string> =>
      world.ask(host, `${tellAgent} <<'EOF'\n${open}\nEOF`);
    expect(JSON.parse(await told('a'))).toEqual({ result: 'open' });
    await world.move('raw', 'a', 'b');
    expect(JSON.parse(await told('b'))).toEqual({ result: 'open' });
    const status = await world.ask('b', 'cat /proc/$(pgrep -u alice -f agent-server)/status');
    expect(capabilities(status, 'CapAmb')).toBe(RAW);
    await world.ask('b', 'migrate stop raw && migrate rm raw');
  });
});

function capabilities(status: string, set: string): bigint {
  return BigInt(`0x${new RegExp(`^${set}:\t([0-9a-f]+)$`, 'm').exec(status)?.[1] ?? '0'}`);
}
