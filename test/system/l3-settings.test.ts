import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseInterfaceAddress } from '../../src/network/address.ts';
import {
  addIdentity,
  chooseDevice,
  type L3Identity,
  removeIdentity,
} from '../../src/network/l3/identity.ts';
import { readBackIdentity } from '../../src/network/l3/read-back.ts';
import { addressSettingsSchema, captureSettings } from '../../src/network/l3/settings.ts';

const source = `ls${process.pid}`;
const target = `lt${process.pid}`;
const ip = (line: string) => execa('ip', line.split(' '));

const addresses = [
  '198.51.100.17/24',
  '198.51.100.18/24',
  '2001:db8:77::17/64',
  '2001:db8:77::18/64',
].map(parseInterfaceAddress);
const identity: L3Identity = {
  device: source,
  addresses,
  loopback4: '127.77.1.17',
  loopback6: 'fd00:77:1::17',
};

/** Both hosts are one here, and what a job has there is told apart by it. */
const otherLoopback = { loopback4: '127.77.1.18', loopback6: 'fd00:77:1::18' };

beforeAll(async () => {
  for (const device of [source, target]) {
    await ip(`link add ${device} type bridge`);
    await ip(`link set ${device} up`);
  }
  await addIdentity(identity);
});

afterAll(async () => {
  await removeIdentity(identity);
  await removeIdentity({ ...identity, ...otherLoopback, device: target });
  for (const device of [source, target]) await ip(`link del ${device}`);
});

test('a new job has what is said of it: IPv4 global, IPv6 deprecated, all without an end', async () => {
  expect(await captureSettings(source, addresses)).toEqual([
    { address: '198.51.100.17', scope: 0, flags: [] },
    { address: '198.51.100.18', scope: 0, flags: [] },
    { address: '2001:db8:77::17', scope: 0, flags: [], preferredSeconds: 0 },
    { address: '2001:db8:77::18', scope: 0, flags: [], preferredSeconds: 0 },
  ]);
});

describe('what somebody has set on the source', () => {
  const set = [
    'label PLACE:web scope link metric 7 broadcast 198.51.100.255',
    'noprefixroute valid_lft 900 preferred_lft 300',
    'nodad home valid_lft 800 preferred_lft 0',
    'nodad noprefixroute metric 77',
  ];

  test('is captured, arrives under the name of the new device, and reads back equal', async () => {
    for (const [index, { address, family }] of addresses.entries()) {
      await ip(`addr del ${address}/${family === 4 ? 32 : 128} dev ${source}`);
      const words = set[index]?.replace('PLACE', source) ?? '';
      await ip(`addr add ${address}/${family === 4 ? 32 : 128} dev ${source} ${words}`);
    }
    const settings = await captureSettings(source, addresses);
    expect(addressSettingsSchema.array().parse(settings)).toEqual(settings);
    await removeIdentity(identity);
    const arrived = { ...identity, ...otherLoopback, device: target, settings };
    await addIdentity(arrived);
    expect(await readBackIdentity(arrived)).toEqual([]);
    const seen = await captureSettings(target, addresses);
    // Nothing of the settings is left out of the comparison, but a second may have gone by.
    expect(seen.map(rounded)).toEqual(settings.map(rounded));
    expect(seen.map(rounded)).toEqual([
      {
        address: '198.51.100.17',
        scope: 253,
        label: ':web',
        metric: 7,
        broadcast: '198.51.100.255',
        flags: [],
      },
      {
        address: '198.51.100.18',
        scope: 0,
        flags: ['noprefixroute'],
        validSeconds: 900,
        preferredSeconds: 300,
      },
      {
        address: '2001:db8:77::17',
        scope: 0,
        flags: ['home'],
        validSeconds: 800,
        preferredSeconds: 0,
      },
      { address: '2001:db8:77::18', scope: 0, flags: ['noprefixroute'], metric: 77 },
    ]);
    await removeIdentity(arrived);
    expect(await captureSettings(target, addresses)).toEqual([]);
    await addIdentity({ ...identity, settings: seen });
  });

  test('is missed by the comparison when it does not arrive', async () => {
    const settings = await captureSettings(source, addresses);
    await removeIdentity(identity);
    await addIdentity(identity);
    const differences = await readBackIdentity({ ...identity, settings });
    expect(differences).toContain(`198.51.100.17 on ${source} has label none, not :web`);
    expect(differences).toContain(`198.51.100.17 on ${source} has metric none, not 7`);
    expect(differences).toContain(`198.51.100.18 on ${source} has flags none, not noprefixroute`);
    expect(differences.join('\n')).toMatch(/2001:db8:77::17 on \S+ has valid_lft forever, not 8/);
    expect(differences).toContain(`2001:db8:77::18 on ${source} has preferred_lft 0, not forever`);
  });
});

test('an address that was given a network meanwhile goes too, when the job leaves', async () => {
  await ip(`addr del 198.51.100.17/32 dev ${source}`);
  await ip(`addr add 198.51.100.17/24 dev ${source}`);
  expect(await readBackIdentity(identity)).toEqual([
    `198.51.100.17 on ${source} has the prefix 24, not 32`,
  ]);
  expect(await captureSettings(source, addresses.slice(0, 1))).toEqual([]);
  await removeIdentity(identity);
  expect((await ip(`-j addr show dev ${source}`)).stdout).not.toContain('198.51.100.17');
});

test('a device that is not there is said so', async () => {
  await expect(chooseDevice(addresses, 'absent0')).rejects.toThrow(
    'this host has no device absent0',
  );
});

/** Lifetimes run; here they are compared to ten seconds. */
function rounded<
  T extends { validSeconds?: number | undefined; preferredSeconds?: number | undefined },
>(settings: T): T {
  const round = (value: number): number => Math.ceil(value / 10) * 10;
  return {
    ...settings,
    ...(settings.validSeconds === undefined ? {} : { validSeconds: round(settings.validSeconds) }),
    ...(settings.preferredSeconds === undefined
      ? {}
      : { preferredSeconds: round(settings.preferredSeconds) }),
  };
}
