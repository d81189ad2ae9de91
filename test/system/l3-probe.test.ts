import type { ChildProcess } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { execaSync } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseInterfaceAddress } from '../../src/network/address.ts';
import { addIdentity, type L3Identity, removeIdentity } from '../../src/network/l3/identity.ts';
import { probeAddresses } from '../../src/network/switchover/probe.ts';
import { enterNewNetworkNamespace, holdNetworkNamespace, ip } from '../support/l3-host.ts';

let machine: ChildProcess;
let mac = '';
let theirs = '';

beforeAll(async () => {
  enterNewNetworkNamespace();
  machine = holdNetworkNamespace();
  const own = readlinkSync('/proc/self/ns/net');
  while (readlinkSync(`/proc/${machine.pid}/ns/net`) === own) await sleep(1);
  ip('link add p0 type veth peer name p1');
  ip(`link set p1 netns ${machine.pid}`);
  ip('link set p0 up');
  for (const command of [
    'ip link set p1 up',
    'ip address add 10.98.0.2/24 dev p1',
    'ip address add fd98::2/64 dev p1 nodad',
  ]) {
    execaSync('nsenter', ['--net', '--target', String(machine.pid), ...command.split(' ')]);
  }
  mac = macOf(ip('-j link'), 'p0');
  theirs = macOf(
    execaSync('nsenter', ['--net', '-t', `${machine.pid}`, 'ip', '-j', 'link']).stdout,
    'p1',
  );
});

afterAll(() => {
  machine.kill('SIGKILL');
});

test('addresses that somebody has are told with his MAC, of both families', async () => {
  const asked = ['10.98.0.2', '10.98.0.3', 'fd98::2', 'fd98::3'];
  const holders = await probeAddresses({ device: 'p0', mac }, asked);
  expect(holders.toSorted((a, b) => (a.address < b.address ? -1 : 1))).toEqual([
    { address: '10.98.0.2', mac: theirs },
    { address: 'fd98::2', mac: theirs },
  ]);
});

test('free ones cost a tenth of a second, and nobody learns of us', async () => {
  const began = performance.now();
  expect(await probeAddresses({ device: 'p0', mac }, ['10.98.0.77', 'fd98::77'])).toEqual([]);
  expect(performance.now() - began).toBeLessThan(1_000);
  const neighbours = execaSync('nsenter', ['--net', '-t', `${machine.pid}`, 'ip', 'neigh']).stdout;
  expect(neighbours).not.toMatch(/10\.98\.0\.77|fd98::77/);
});

function macOf(json: string, name: string): string {
  const links = JSON.parse(json) as { ifname: string; address: string }[];
  return links.find(({ ifname }) => ifname === name)?.address ?? '';
}

test('a job can bind to its IPv6 address at once, while a new one of the host is still tested', async () => {
  const identity: L3Identity = {
    device: 'p0',
    addresses: [parseInterfaceAddress('fd98::31/64')],
    loopback4: '127.200.98.31',
    loopback6: 'fd6d:6967:7261:7465::98:31',
  };
  ip('address add fd98::32/64 dev p0');
  await addIdentity(identity);
  const bind = (address: string): number | undefined => {
    const code = `import socket; socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).bind(("${address}", 0))`;
    return execaSync('python3', ['-c', code], { reject: false }).exitCode;
  };
  expect([bind('fd98::31'), bind('fd98::32')]).toEqual([0, 1]);
  await removeIdentity(identity);
});
