import { expect } from 'vitest';
import type { World } from './world.ts';

/** An l2 job whose devices hang on devices of its host in more ways than one. */
export const ENDS = 'ends';
export const OWN = '10.77.0.141';
export const NETNS = `/run/netns/migrate-${ENDS}`;
export const INSIDE = `nsenter --net=${NETNS}`;

/** On each host another card of another name, on the segment as the others are. */
export const OTHER_CARD = {
  a: ['ip link add card0 type veth peer name port0', 'ip link set port0 master br0 up'],
  b: ['ip link add card1 type veth peer name port0', 'ip link set port0 master br0 up'],
} as const;

/** Asks the job's device on the card, twice: the first packet may wait for an answer of ARP. */
export const REACH = 'ping -c 2 -i 0.2 -W 5 10.99.90.1';

/** Starts the job on host a, with nothing but its veth pair. */
export async function startPlain(world: World): Promise<void> {
  await world.ask('a', `migrate run ${ENDS} --l2 --bridge br0 --ip ${OWN}/24 -- sleep 1000`);
}

/** Starts the job on host a, with a macvlan on its other card. */
export async function startOn(
  world: World,
  cards: Readonly<Record<'a' | 'b', readonly string[]>>,
): Promise<void> {
  const up = (card: string) => `ip link set ${card} up`;
  await world.ask('b', ['set -e', ...cards.b, up('card1')].join('\n'));
  await world.ask('c', 'ip addr add 10.99.90.2/24 dev eth0');
  await startPlain(world);
  await world.ask(
    'a',
    [
      'set -e',
      ...cards.a,
      up('card0'),
      `ip link add link card0 name mv0 netns ${NETNS} type macvlan mode bridge`,
      `${INSIDE} ip link set mv0 up`,
      `${INSIDE} ip addr add 10.99.90.1/24 dev mv0`,
    ].join('\n'),
  );
  await world.ask('c', REACH);
}

/** A script that writes a host's map file. */
export function mapping(map: object): string {
  return `mkdir -p /etc/migrate && cat >/etc/migrate/map.json <<'END'\n${JSON.stringify(map)}\nEND`;
}

/** What is said when a move is refused at the plan; the job goes on where it was. */
export async function refusalOf(world: World, from: string, to: string): Promise<string> {
  const { code, err } = await world.sh(from, `migrate ${ENDS} ${to} --quiet`);
  expect(code, err).toBe(10);
  expect(await world.ask(from, 'migrate ls')).toMatch(/^ends\s+l2\s+running/m);
  return err;
}
