import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deviceFixtures } from '../cases/device-fixtures.ts';
import { ENDS, INSIDE, mapping, NETNS, OWN, refusalOf, startPlain } from '../lab/device-ends.ts';
import { type DeviceTraffic, lackingOf, startDevices } from '../lab/device-traffic.ts';
import { makeWorld, type World } from '../lab/world.ts';

/** A port of a datapath that no daemon looks after: the kernel's part is the same. */
const SWITCH =
  'modprobe openvswitch; ovs-dpctl add-dp dp0; ovs-dpctl add-if dp0 int0,type=internal';

describe("traffic through every kind of device, on the distribution's kernel", () => {
  let world: World;
  let traffic: DeviceTraffic;

  beforeAll(async () => {
    world = await makeWorld(`vd${process.pid}`, 'a', 'b', 'c', '--backend', 'vm');
    expect([...(await lackingOf(world, deviceFixtures)).values()]).toEqual([]);
    traffic = await startDevices(world, deviceFixtures, 10);
  });

  afterAll(async () => {
    if (!process.env.KEEP) await world?.down();
  });

  test('goes on while the job moves there and back', async () => {
    await traffic.move('a', 'b');
    await traffic.move('b', 'a');
    expect(await traffic.judge('a')).toEqual({ peer: 'PASS', job: 'PASS' });
  });

  test('the cards of the host and ports of Open vSwitch are refused, each by name', async () => {
    await startPlain(world);
    await world.ask('a', `set -e; ${SWITCH}; ip link set int0 netns ${NETNS}`);
    await world.ask('a', `ip link set eth1 nomaster netns ${NETNS}`);
    const said = await refusalOf(world, 'a', 'b');
    expect(said).toMatch(/eth1 is a physical device .*, it stays with its host/);
    expect(said).toMatch(/int0 is a port of Open vSwitch, which only its own daemon can make/);
    expect(said).toContain('give the job a device on top of it instead');
    expect(said).toContain('put a veth pair between the namespace and the switch');
    await world.ask('a', `${INSIDE} ip link set eth1 netns 1 && ip link set eth1 master br0 up`);
    await world.ask('a', 'ovs-dpctl del-dp dp0');
  });

  test('a bridge that keeps VLANs apart needs a word of the map, both ways', async () => {
    await world.ask('b', 'ip link set br0 type bridge vlan_filtering 1');
    expect(await refusalOf(world, 'a', 'b')).toMatch(/eth0 is in no VLAN here, and its bridge/);
    await world.ask('b', mapping({ br0: { vlan: 1 } }));
    await world.move(ENDS, 'a', 'b');
    await world.ask('c', `ping -c 2 -W 5 ${OWN}`);
    expect(await refusalOf(world, 'b', 'a')).toMatch(/br0 keeps VLANs apart here, and no bridge/);
    await world.ask('a', mapping({ br0: { vlan: 0 } }));
    await world.move(ENDS, 'b', 'a');
    await world.ask('c', `ping -c 2 -W 5 ${OWN}`);
  });
});
