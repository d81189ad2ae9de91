import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deviceFixtures } from '../cases/device-fixtures.ts';
import { type DeviceTraffic, lackingOf, startDevices } from '../lab/device-traffic.ts';
import { makeWorld, type World } from '../lab/world.ts';

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
});
