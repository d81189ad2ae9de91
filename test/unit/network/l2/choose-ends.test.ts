import { expect, test } from 'vitest';
import { chooseEnd } from '../../../../src/network/l2/choose-ends.ts';
import type { OutsideEnd } from '../../../../src/network/l2/outside.ts';

const end: OutsideEnd = { link: 'eth0', on: 'bridge', device: 'br0', mtu: 1500 };
const access = (id: number) => [{ first: id, last: id, pvid: true, untagged: true }];
const bridge = (mtu: number, filters = false) => ({
  kind: 'bridge',
  mtu,
  data: filters ? { vlanFiltering: 1 } : {},
});

const choose = (
  wanted: OutsideEnd,
  said: Parameters<typeof chooseEnd>[1],
  devices: Record<string, ReturnType<typeof bridge>>,
) => chooseEnd(wanted, said, new Map(Object.entries(devices)));

test('without a word in the map, the device of the same name is taken', () => {
  expect(choose(end, {}, { br0: bridge(1500) })).toEqual({ end, problems: [], warnings: [] });
});

test('a device that is missing, or no bridge, is named with the line that would help', () => {
  expect(choose(end, {}, {}).problems).toEqual([
    {
      message: 'eth0 hangs on br0, and there is no br0 there',
      hint: expect.stringContaining('{"br0": {"device": "..."}}'),
    },
  ]);
  const card = { kind: 'none', mtu: 1500, data: {} };
  expect(choose(end, {}, { br0: card }).problems[0]?.message).toContain('br0 is none there');
});

test('a map leads to a bridge of another name', () => {
  const { end: chosen, problems } = choose(end, { device: 'lan' }, { lan: bridge(1500) });
  expect(chosen.device).toBe('lan');
  expect(problems).toEqual([]);
});

test('an MTU that differs is a problem, and a warning once the map says that it is meant', () => {
  const silent = choose(end, {}, { br0: bridge(1400) });
  expect(silent.problems[0]).toMatchObject({
    message: 'br0 has an MTU of 1400 there, br0 of 1500 here',
    hint: expect.stringContaining('{"br0": {"mtu": 1400}}'),
  });
  const said = choose(end, { mtu: 1400 }, { br0: bridge(1400) });
  expect(said.problems).toEqual([]);
  expect(said.warnings).toEqual(['br0 has an MTU of 1400 there, br0 of 1500 here']);
});

test('the VLANs of the port come along, or those that the map names', () => {
  const wanted = { ...end, vlans: access(7) } as OutsideEnd;
  expect(choose(wanted, {}, { br0: bridge(1500, true) }).end.vlans).toEqual(access(7));
  expect(choose(wanted, { vlan: 9 }, { br0: bridge(1500, true) }).end.vlans).toEqual(access(9));
});

test('a port with VLANs does not get onto a bridge without them in silence, nor the other way', () => {
  const wanted = { ...end, vlans: access(7) } as OutsideEnd;
  expect(choose(wanted, {}, { br0: bridge(1500) }).problems).toHaveLength(1);
  const meant = choose(wanted, { vlan: 0 }, { br0: bridge(1500) });
  expect(meant.problems).toEqual([]);
  expect(meant.warnings).toHaveLength(1);
  expect(meant.end.vlans).toBeUndefined();
  expect(choose(end, {}, { br0: bridge(1500, true) }).problems).toHaveLength(1);
  expect(choose(end, { vlan: 12 }, { br0: bridge(1500, true) }).end.vlans).toEqual(access(12));
});
