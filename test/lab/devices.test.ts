import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deviceFixtures } from '../cases/device-fixtures.ts';
import { ENDS, INSIDE, mapping, OTHER_CARD, REACH, refusalOf, startOn } from './device-ends.ts';
import { type DeviceTraffic, lackingOf, startDevices } from './device-traffic.ts';
import { makeWorld, tell, type World } from './world.ts';

describe('traffic through every kind of device that this kernel has', () => {
  let world: World;
  let traffic: DeviceTraffic;

  beforeAll(async () => {
    world = await makeWorld(`dv${process.pid}`, 'a', 'b', 'c');
    const lacking = await lackingOf(world, deviceFixtures);
    for (const [{ what }, kinds] of lacking) {
      tell(`${what}: not tested here`, { lacks: kinds.join(', ') });
    }
    const here = deviceFixtures.filter((one) => !lacking.has(one));
    traffic = await startDevices(world, here, 1);
  });

  afterAll(async () => {
    await world?.down();
  });

  test('goes on while the job moves there and back', async () => {
    await traffic.move('a', 'b');
    await traffic.move('b', 'a');
    expect(await traffic.judge('a')).toEqual({ peer: 'PASS', job: 'PASS' });
  });

  test("a device on the host's card hangs where the target's map says", async () => {
    await startOn(world, OTHER_CARD);
    expect(await refusalOf(world, 'a', 'b')).toMatch(
      /mv0 hangs on card0, and there is no card0 there/,
    );
    await world.ask('b', mapping({ card0: { device: 'card1' } }));
    await world.move(ENDS, 'a', 'b');
    expect(await world.ask('b', `${INSIDE} ip -d link show mv0`)).toContain('macvlan');
    await world.ask('c', REACH);
    expect(await refusalOf(world, 'b', 'a')).toMatch(/mv0 hangs on card1, and there is no card1/);
    await world.ask('a', mapping({ card1: { device: 'card0' } }));
    await world.move(ENDS, 'b', 'a');
    await world.ask('c', REACH);
  });

  test('another MTU is refused until the map says that it is meant', async () => {
    await world.ask('b', 'ip link set card1 mtu 1400');
    expect(await refusalOf(world, 'a', 'b')).toMatch(
      /card1 has an MTU of 1400 there, card0 of 1500 here/,
    );
    await world.ask('b', mapping({ card0: { device: 'card1', mtu: 1_400 } }));
    const { warnings } = await world.move(ENDS, 'a', 'b');
    expect(warnings).toEqual(['card1 has an MTU of 1400 there, card0 of 1500 here']);
    expect(await world.ask('b', `${INSIDE} ip link show mv0`)).toContain('mtu 1400');
    await world.ask('c', REACH);
    await world.ask('b', `migrate stop ${ENDS} && migrate rm ${ENDS}`);
  });
});
