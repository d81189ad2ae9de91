import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { World } from './world.ts';

/** Of each family the first is the primary. */
const own = ['10.77.0.150', '10.77.0.151', 'fd77::150', 'fd77::151'] as const;
const peer = '10.77.0.13,fd77::13';
const ofHosts = '10.77.0.11,10.77.0.12,fd77::11,fd77::12';
const PORT = 7000;
/** Seconds that all channels may take to come up, in emulated guests too. */
const READY_S = 120;

/** test/workloads/l3-traffic.py as a job with two addresses of each family, and its peer in c. */
export interface Traffic {
  /** What the two ends say of themselves, the peer first; the job has ended and is gone then. */
  judge(home: string): Promise<{ peer: string; job: string }>;
}

/** Starts both on host a; resolves when every channel works. */
export async function startTraffic(
  world: World,
  options: { readonly user?: string; readonly before?: string } = {},
): Promise<Traffic> {
  const { user = 'root', before = 'true' } = options;
  const place = '/shared/traffic';
  await world.ask('a', `install -d -o ${user} ${place}`);
  const program = `exec python3 /shared/workloads/l3-traffic.py`;
  const other = world.start('c', `${program} peer ${place} ${PORT} ${own.join(',')} ${peer}`);
  const prefix = (address: string): string => (address.includes(':') ? '64' : '24');
  const ip = own.map((address) => `--ip ${address}/${prefix(address)}`).join(' ');
  const as = user === 'root' ? '' : `--user ${user}`;
  const job = `python3 /shared/workloads/l3-traffic.py job ${place} ${PORT} ${peer}`;
  const run = `migrate run traffic --l3 ${ip} ${as} -- ${job} ${own.join(',')} ${ofHosts}`;
  await world.ask('a', `${before}; ${run}`);
  for (const role of ['job', 'peer']) {
    const wait = `timeout ${READY_S} sh -c 'until [ -e ${place}/${role}.pid ]; do sleep 0.2; done'`;
    await world.ask('c', `${wait} || { cat ${place}/*; exit 1; }`);
  }
  return {
    async judge(home) {
      const pid = await readFile(join(world.shared, 'traffic/peer.pid'), 'utf8');
      await world.ask('c', `kill ${pid}; until [ -e ${place}/peer.verdict ]; do sleep 0.1; done`);
      await world.ask(home, 'migrate stop traffic --timeout 60');
      await world.ask(home, 'migrate rm traffic');
      await world.ask('c', `kill ${pid}`);
      await other.end();
      const verdict = (role: string) =>
        readFile(join(world.shared, `traffic/${role}.verdict`), 'utf8');
      return { peer: await verdict('peer'), job: await verdict('job') };
    },
  };
}

/** The single addresses of a job on a host, as `ip` tells them; read-only, for comparison. */
export async function addressesOn(world: World, host: string): Promise<string[]> {
  const links = JSON.parse(await world.ask(host, 'ip -j addr show dev eth0')) as {
    addr_info: { local: string; prefixlen: number; tentative?: boolean }[];
  }[];
  const all = links.flatMap(({ addr_info }) => addr_info);
  const mine = all.filter(({ local }) => own.some((address) => address === local));
  expect(mine.filter(({ tentative }) => tentative === true)).toEqual([]);
  return mine.map(({ local, prefixlen }) => `${local}/${prefixlen}`).toSorted();
}

export const single = own
  .map((address) => `${address}/${address.includes(':') ? 128 : 32}`)
  .toSorted();
