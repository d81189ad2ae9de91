import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Host, ipv4, ipv6 } from '../model.ts';
import { type Argv, attempt, run } from '../run.ts';

/**
 * The wire between a lab's hosts: a bridge in a network namespace of its own, so that labs side by
 * side use the same addresses and the machine's own network has no part in it.
 */
export async function makeSegment(netns: string): Promise<void> {
  if (await isSegment(netns)) return;
  await mkdir(dirname(netns), { recursive: true });
  await writeFile(netns, '');
  await run(['unshare', `--net=${netns}`, 'true']);
  await run(inSegment(netns, ['ip', '-batch', '-']), { input: LINKS.join('\n') });
  await run(inSegment(netns, ['nft', '-f', '-']), { input: CUT_TABLE });
}

export async function removeSegment(netns: string): Promise<void> {
  await attempt(['umount', netns]);
  await rm(netns, { force: true });
}

/** The words that run a program with the segment as its network. */
export function inSegment(netns: string, argv: readonly string[]): Argv {
  return ['nsenter', `--net=${netns}`, '--', ...argv];
}

/** The bridge's end of a host's two cards: eth0, and the uplink of its br0. */
export function portsOf(number: number): readonly [string, string] {
  return [`h${number}-eth0`, `h${number}-br0`];
}

/** Takes the cards away at once, before the host can say goodbye to anybody. */
export async function unplug(netns: string, host: Host): Promise<void> {
  const lines = portsOf(host.number).map((port) => `link del ${port}`);
  await attempt(inSegment(netns, ['ip', '-force', '-batch', '-']), { input: lines.join('\n') });
}

export const BRIDGE = 'lan';
export const CUT_SET = 'cut';

/** The machine's own address on the segment. */
const MACHINE_NUMBER = 1;

const LINKS = [
  'link set lo up',
  `link add ${BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
  `addr add ${ipv4(MACHINE_NUMBER)}/24 dev ${BRIDGE}`,
  `addr add ${ipv6(MACHINE_NUMBER)}/64 dev ${BRIDGE} nodad`,
  `link set ${BRIDGE} up`,
];

const CUT_TABLE = `
table bridge lab {
  set ${CUT_SET} { type ifname . ifname; }
  chain forward {
    type filter hook forward priority 0; policy accept;
    iifname . oifname @${CUT_SET} drop
  }
}
`;

async function isSegment(netns: string): Promise<boolean> {
  return (await attempt(inSegment(netns, ['ip', 'link', 'show', BRIDGE]))).ok;
}
