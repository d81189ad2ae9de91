import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeSettledWorld, startInside, stateOf } from './netns-world.ts';
import type { World } from './world.ts';

const OWN = '/etc/netns/solo/hosts';

describe('an agent that is killed while it makes a namespace without a veth pair', () => {
  let world: World;

  beforeAll(async () => {
    world = await makeSettledWorld(`nk${process.pid}`, 'a', 'b');
    await world.ask('a', MAKE_SOLO);
    await startInside(world, 'a', 'sleep 100001', 'solo');
    // The target's administrator has files of that name, one that moves and one that does not.
    await world.ask('b', `mkdir -p /etc/netns/solo && echo 127.0.0.1 own >${OWN}`);
    // What a first agent leaves on purpose is there before anything is compared.
    await world.ask('a', 'ip netns add probe');
    await startInside(world, 'a', 'sleep 100002', 'probe');
    await world.ask('a', 'migrate netns:probe b --quiet');
    await world.ask('b', 'kill $(ip netns pids probe); sleep 1; migrate rm netns:probe');
  });

  afterAll(async () => {
    await world?.down();
  });

  test.each([
    ['as soon as it has its name', 'test -e /run/netns/solo'],
    ['when its device is there', 'ip -n solo link show m0'],
  ])('%s: recover takes away that, and no file of the target itself', async (_, until) => {
    const before = await stateOf(world, 'b');
    const killer = world.start('b', killWhen(until));
    await killer.line();
    const { code, err } = await world.sh('a', 'migrate netns:solo b --quiet');
    const { out } = await killer.end();
    expect(out).toContain('killed');
    expect(code, err).not.toBe(0);
    expect(err).toMatch(/^job: runs on the source$/m);
    await world.ask('b', 'migrate recover');
    expect(await world.ask('b', 'ip netns list')).not.toContain('solo');
    expect(await world.ask('b', `cat ${OWN}`)).toBe('127.0.0.1 own');
    expect(await world.ask('b', 'ls /etc/netns/solo')).toBe('hosts');
    expect(await stateOf(world, 'b')).toEqual(before);
  });

  test('a namespace that somebody makes under that name meanwhile stays', async () => {
    const killer = world.start('b', killWhen('ip -n solo link show m0'));
    await killer.line();
    await world.sh('a', 'migrate netns:solo b --quiet');
    await killer.end();
    await world.ask('b', 'ip netns del solo && ip netns add solo && migrate recover');
    expect(await world.ask('b', 'ip netns list')).toContain('solo');
    await world.ask('b', 'ip netns del solo');
  });

  test('the namespace moves then', async () => {
    expect(await world.move('netns:solo', 'a', 'b')).toMatchObject({ location: 'target-running' });
    expect(await world.ask('b', 'cat /etc/netns/solo/resolv.conf')).toBe('nameserver 10.77.0.1');
  });
});

const MAKE_SOLO = `set -e
mkdir -p /etc/netns/solo
echo nameserver 10.77.0.1 >/etc/netns/solo/resolv.conf
ip netns add solo
ip link add link eth0 name m0 netns solo type macvlan mode bridge
ip -n solo link set lo up
ip -n solo link set m0 up
ip -n solo addr add 10.77.0.190/24 dev m0
ip -n solo addr add fd77::190/64 dev m0 nodad`;

/** The agent is the one that has the journal open. */
const killWhen = (until: string) => `echo ready
for _ in $(seq 3000); do
  { ${until}; } >/dev/null 2>&1 || { sleep 0.01; continue; }
  for pid in $(pgrep node); do
    ls -l /proc/$pid/fd 2>/dev/null | grep -q target.jsonl && kill -9 $pid && echo killed
  done
  exit
done`;
