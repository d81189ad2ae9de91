import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Channel, type DeviceFixture, underlay } from '../cases/device-fixture.ts';
import { tell, type World } from './world.ts';

/** What runs through devices of an l2 job, between it on host a and its peer on host c. */
export interface DeviceTraffic {
  /** Moves the job; on the new host all devices of the fixtures have to go on counting packets. */
  move(from: string, to: string): Promise<void>;
  /** What both ends say of themselves; the job has ended and is gone then. */
  judge(home: string): Promise<{ peer: string; job: string }>;
}

const PORT = 7000;
const TICK_MS = 100;
/** Seconds that all channels may take to come up, in emulated guests too. */
const READY_S = 90;
/** A datagram that had come when the freeze did: counted among those lost, and told. */
const UNREAD = /what it had received and the program had not read is lost/;
const NAME = 'devices';
const NETNS = `/run/netns/migrate-${NAME}`;
const PLACE = '/shared/devices';
/** Datagrams of one channel that one move may cost: those that come while it is frozen are held. */
const LOSS_MAX = 5;
/** How long a device may take to show some packets after a move, milliseconds. */
const COUNT_MS = 20_000;
const PACKETS = 10;

/** Fixtures of which the hosts' kernel lacks a kind, and what it lacks. */
export async function lackingOf(
  world: World,
  fixtures: readonly DeviceFixture[],
): Promise<ReadonlyMap<DeviceFixture, readonly string[]>> {
  const kinds = [...new Set(fixtures.flatMap((one) => one.kinds))];
  const tries = kinds.map((kind) => `unshare -n sh -c ${quoted(tryKind(kind))} || echo "${kind}"`);
  const lacked = new Set((await world.ask('a', `${tries.join('\n')}\ntrue`)).split('\n'));
  return new Map(
    fixtures
      .map((one) => [one, one.kinds.filter((kind) => lacked.has(kind))] as const)
      .filter(([, lacks]) => lacks.length > 0),
  );
}

function tryKind(kind: string): string {
  const words: Record<string, string> = {
    'VLAN filtering': 'ip link add x type bridge vlan_filtering 1',
    netem: 'tc qdisc add dev lo root netem delay 1ms',
    tun: 'ip tuntap add dev x mode tun',
    vlan: 'ip link add v type veth && ip link add x link v type vlan id 1',
    macvlan: 'ip link add v type veth && ip link add x link v type macvlan',
    macvtap: 'ip link add v type veth && ip link add x link v type macvtap',
    ipvlan: 'ip link add v type veth && ip link add x link v type ipvlan',
    vrf: 'ip link add x type vrf table 9',
    vxlan: 'ip link add x type vxlan id 1 dstport 4789',
    geneve: 'ip link add x type geneve id 1 remote 192.0.2.1',
    ip6tnl: 'ip link add x type ip6tnl local fd00::1 remote fd00::2',
  };
  // One without ends is what the kernel has made by itself already.
  for (const tunnel of ['ipip', 'gre', 'gretap', 'sit']) {
    words[tunnel] = `ip link add x type ${tunnel} local 192.0.2.1 remote 192.0.2.2`;
  }
  return `(${words[kind] ?? `ip link add x type ${kind}`}) >/dev/null 2>&1`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * Starts the job, makes its devices, starts the peer; resolves when every channel works. Each is
 * asked every `stepTicks` tenths of a second.
 */
export async function startDevices(
  world: World,
  fixtures: readonly DeviceFixture[],
  stepTicks: number,
): Promise<DeviceTraffic> {
  const place = join(world.shared, 'devices');
  const stepMs = stepTicks * TICK_MS;
  await mkdir(place, { recursive: true });
  const program = 'python3 /shared/workloads/device-traffic.py';
  const ip = `--ip ${underlay.job}/24 --ip ${underlay.job6}/64`;
  await world.ask('a', `migrate run ${NAME} --l2 --bridge br0 ${ip} -- ${program} job ${PLACE}`);
  const make = fixtures.map((one) => {
    const inside = `nsenter --net=$NS sh -es <<'END'\n${(one.inside ?? []).join('\n')}\nEND`;
    return [`echo ${quoted(one.what)} >&2`, ...(one.host ?? []), inside].join('\n');
  });
  // Else each device answers for the addresses of all, and traffic takes another one's way.
  const own = 'sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2';
  await world.ask('a', `nsenter --net=${NETNS} ${own}`);
  await world.ask('a', `NS=${NETNS}; set -e\n${make.join('\n')}`);
  await world.ask('c', `set -e\n${fixtures.flatMap((one) => one.peer ?? []).join('\n')}`);
  const channels = fixtures.flatMap((one) =>
    one.channels.map((channel, index) => told(one, channel, { index, stepMs })),
  );
  await writeFile(join(place, 'channels.new'), JSON.stringify({ stepTicks, channels }));
  await world.ask('a', `mv ${PLACE}/channels.new ${PLACE}/channels.json`);
  const other = world.start('c', `exec ${program} peer ${PLACE}`);
  for (const role of ['job', 'peer']) {
    const there = `[ -e ${PLACE}/${role}.pid ] || [ -e ${PLACE}/${role}.verdict ]`;
    const wait = `timeout ${READY_S} sh -c 'until ${there}; do sleep 0.2; done'`;
    await world.ask(
      'c',
      `${wait}; [ -e ${PLACE}/${role}.pid ] || { cat ${PLACE}/*.verdict; exit 1; }`,
    );
  }
  const devices = new Set(fixtures.flatMap((one) => one.devices));
  let moves = 0;
  return {
    async move(from, to) {
      const { frozenMs, totalMs, phases, warnings } = await world.move(NAME, from, to);
      moves += 1;
      expect(warnings.filter((one) => !UNREAD.test(one))).toEqual([]);
      await expect.poll(() => silentOf(world, to, devices), { timeout: COUNT_MS }).toEqual([]);
      tell(`${devices.size} devices, ${from} to ${to}`, {
        'frozen (ms)': frozenMs,
        'total (ms)': totalMs,
        ...Object.fromEntries(phases.map(({ name, ms }) => [name, ms])),
      });
    },
    async judge(home) {
      await writeFile(join(place, 'moves'), String(moves));
      await world.ask('c', `kill $(cat ${PLACE}/peer.pid); ${until('peer')}`);
      await other.end();
      await world.ask(home, `migrate stop ${NAME} --timeout 60; ${until('job')}`);
      await world.ask(home, `migrate rm ${NAME}`);
      return { peer: await verdictOf(place, 'peer'), job: await verdictOf(place, 'job') };
    },
  };
}

/** Devices that have sent or received nothing since the last time that somebody looked. */
async function silentOf(world: World, host: string, devices: ReadonlySet<string>) {
  const shown = await world.ask(host, `nsenter --net=${NETNS} ip -s -j link show`);
  const links = JSON.parse(shown) as ShownLink[];
  const counts = new Map(
    links.map(({ ifname, stats64: { rx, tx } }) => [ifname, [rx.packets, tx.packets]]),
  );
  return [...devices].filter((name) => (counts.get(name) ?? [0]).every((count) => count < PACKETS));
}

/** The verdict, with the reasons of one that failed; the figures are told. */
async function verdictOf(place: string, role: string): Promise<string> {
  const lines = (await readFile(join(place, `${role}.verdict`), 'utf8')).trim().split('\n');
  for (const line of lines.slice(1)) tell(role, { says: line });
  return lines[0] === 'PASS' ? 'PASS' : lines.join('\n');
}

interface ShownLink {
  readonly ifname: string;
  readonly stats64: { readonly rx: { packets: number }; readonly tx: { packets: number } };
}

function until(role: string): string {
  return `timeout 60 sh -c 'until [ -e ${PLACE}/${role}.verdict ]; do sleep 0.2; done'`;
}

/** A channel in the words of the program. */
function told(
  fixture: DeviceFixture,
  channel: Channel,
  { index, stepMs }: { readonly index: number; readonly stepMs: number },
): object {
  const { job, renewMs = 0, ...more } = channel;
  const lossMax = LOSS_MAX + Math.ceil(renewMs / stepMs);
  const name = `${fixture.what}${index === 0 ? '' : ` (${index + 1})`}`;
  const answer = { ...job, by: 'job', port: PORT };
  return { name, lossMax, ...more, answer, ask: { ...channel.peer, by: 'peer' } };
}
