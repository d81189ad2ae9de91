import { expect, test } from 'vitest';
import { fitMtu } from '../../../../src/network/l2/fit-mtu.ts';
import type { NetworkState } from '../../../../src/network/l2/state.ts';

const common = { txQueueLength: 1_000, up: true, group: 0 } as const;
const state = {
  links: [
    { ...common, name: 'm0', kind: 'macvlan', mtu: 1_500, outside: true },
    { ...common, name: 'v0', kind: 'vlan', mtu: 1_500, parent: 'm0' },
    { ...common, name: 'v1', kind: 'vlan', mtu: 1_280, parent: 'm0' },
    { ...common, name: 'e0', kind: 'veth', mtu: 1_500, peer: 'e1' },
  ],
} as unknown as NetworkState;

function mtus(parentMtu: number): number[] {
  const end = { link: 'm0', on: 'parent', device: 'eth0', mtu: parentMtu } as const;
  return fitMtu(state, [end]).links.map(({ mtu }) => mtu);
}

test('what is on top of a device with a smaller MTU gets that, the rest stays', () => {
  expect(mtus(1_400)).toEqual([1_400, 1_400, 1_280, 1_500]);
});

test('a larger MTU below changes nothing', () => {
  expect(mtus(9_000)).toEqual([1_500, 1_500, 1_280, 1_500]);
});
