import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addressesOn, single, startTraffic, type Traffic } from './l3-traffic.ts';
import { makeWorld, tell, type World } from './world.ts';

describe('an l3 job with two addresses of each family', () => {
  let world: World;
  let traffic: Traffic;

  beforeAll(async () => {
    world = await makeWorld(`lt${process.pid}`, 'a', 'b', 'c');
    traffic = await startTraffic(world);
  });

  afterAll(async () => {
    await world?.down();
  });

  test('has them all on the host that it is on, usable at once, and none elsewhere', async () => {
    const frozen = [];
    for (const [from, to] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      expect(await addressesOn(world, from)).toEqual(single);
      frozen.push((await world.move('traffic', from, to)).frozenMs);
      expect(await addressesOn(world, from)).toEqual([]);
      expect(await addressesOn(world, to)).toEqual(single);
    }
    tell('two addresses of each family, TCP and UDP', { 'frozen (ms)': frozen.join(' and ') });
  });

  test('keeps every promise before, during and after a move there and back', async () => {
    const { peer, job } = await traffic.judge('a');
    expect(peer).toMatch(/^PASS\n/);
    expect(job).toMatch(/^PASS\n/);
    tell('the peer', { says: peer.trim().replaceAll('\n', ', ') });
    tell('the job', { says: job.trim().replaceAll('\n', ', ') });
  });
});
