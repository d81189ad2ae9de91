import { expect, test } from 'vitest';
import { differingKeys } from '../../../../src/network/l2/make-links.ts';
import type { Link } from '../../../../src/network/l2/objects/link.ts';

const bridge = (stp: number, ageingTime: number): Link => ({
  name: 'br0',
  kind: 'bridge',
  mtu: 1500,
  txQueueLength: 1000,
  group: 0,
  up: true,
  data: { stp, ageingTime, forwardDelay: 1500 },
});

test('the ageing time of a bridge counts, unless its spanning tree may have shortened it', () => {
  expect(differingKeys(bridge(0, 30_000), bridge(0, 3000))).toEqual(['data']);
  expect(differingKeys(bridge(1, 30_000), bridge(1, 3000))).toEqual([]);
  expect(differingKeys(bridge(1, 30_000), bridge(0, 30_000))).toEqual(['data']);
});
