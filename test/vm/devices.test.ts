import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deviceFixtures } from '../cases/device-fixtures.ts';
import { type DeviceTraffic, lackingOf, startDevices } from '../lab/device-traffic.ts';
import { makeWorld, type World } from '../lab/world.ts';

/** Tenths of a second between two questions of a channel: a guest has a move to make as well. */
const stepTicks = 10;

/** One move; there and back, and what is refused, are in test/long/vm-devices.test.ts. */
describe("traffic through every kind of device, on the distribution's kernel", () => {
  let world: World;
  let traffic: DeviceTraffic;

  beforeAll(async () => {
    world = await makeWorld(`vd${process.pid}`, 'a', 'b', 'c', '--backend', 'vm');
    expect([...(await lackingOf(world, deviceFixtures)).values()]).toEqual([]);
    traffic = await startDevices(world, deviceFixtures, stepTicks);
  });

  afterAll(async () => {
    await world?.down();
  });

  test('goes on while the job moves', async () => {
    await traffic.move('a', 'b');
    expect(await traffic.judge('b')).toEqual({ peer: 'PASS', job: 'PASS' });
  });
});
