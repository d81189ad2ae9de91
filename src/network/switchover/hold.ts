import { type ArmedTool, armTool } from '../../host/arm.ts';
import { isErrno } from '../../host/files.ts';
import { openDeviceSocket } from '../../host/netns.ts';
import { run } from '../../host/run.ts';
import { ofFamily } from '../address.ts';
import { lockTableOf } from './lock.ts';

/**
 * Packets for the job are held, not dropped, while it is frozen: what arrives on one of `devices`
 * for one of `addresses`, or whatever arrives there without them, is forwarded to an ifb whose
 * token bucket is empty, and comes back in order once the rate is opened. A dropped packet would
 * cost the client its retransmission timer, 200 ms. An nft chain does it and not a filter of tc(8):
 * the qdisc that carries those takes the device down for an instant when it comes and when it goes
 * (net/sched/sch_api.c, qdisc_graft), and what anybody sends then is lost. (nft(8), FWD STATEMENT;
 * tc-tbf(8); kernel drivers/net/ifb.c, net/netfilter/nft_fwd_netdev.c from 5.8 on.)
 */
export interface HoldSpec {
  readonly id: string;
  /** None for a namespace that is on no wire: nothing is held then. */
  readonly devices: readonly string[];
  /** A namespace's devices are all the job's: absent there. */
  readonly addresses?: readonly string[];
  /** With no addresses: frames to these are for the job even when its devices have others. */
  readonly macs?: readonly string[];
  /**
   * MACs that the namespace's own devices speak with: a frame from the wire that has one comes from
   * the target, and a bridge inside that learned from it would not deliver what was held.
   */
  readonly ownMacs?: readonly string[];
  readonly netns?: string;
}

/** Bytes that a hold may keep: a second of a gigabit link would be 125 MB, a freeze is shorter. */
const heldBytesMax = 32 * 1024 * 1024;
/** So slow a refill lets nothing through for some seconds, not even a small packet. */
const leakBytesPerSecond = 8;
/** What a packet socket sends at most: a device of the largest MTU has longer frames. */
const frameBytesMax = 65_535;
/** Ethernet header, a VLAN tag and some air. */
const frameOverheadBytes = 22;
const ethernetMtu = 1_500;
/** One empties the bucket, one wakes the queue. */
const ownFrames = 2;

/** Everything that takes time: the ifb and its empty bucket. */
export async function prepareHold(hold: HoldSpec): Promise<void> {
  if (hold.devices.length === 0) return;
  const frameBytes = Math.min((await mtuOf(hold)) + frameOverheadBytes, frameBytesMax);
  const ifb = ifbNameOf(hold);
  await tool(hold, 'ip', [`link add ${ifb} mtu ${frameBytes} type ifb`, `link set ${ifb} up`]);
  await tool(hold, 'tc', [
    `qdisc add dev ${ifb} root handle 1: tbf rate ${leakBytesPerSecond}bps burst ${frameBytes} limit ${heldBytesMax}`,
  ]);
  // A full bucket would let the first small packets pass, and the stack would answer them with RST.
  await sendDummy(hold, frameBytes);
}

/** From here on new connections queue up, so that those under way can settle. */
export async function holdOpening(hold: HoldSpec, armed = armHold(hold)): Promise<void> {
  await armed.fire(openingRuleset(hold));
}

/**
 * From here on all packets queue up but those of TCP connections: what comes on one that the job
 * has is in its images, and one that it has closed goes on to its end.
 */
export async function startHold(hold: HoldSpec, armed = armHold(hold)): Promise<void> {
  await armed.fire(startRuleset(hold));
}

/** The nft script that makes the hold, in one transaction; `removeHold` takes it back. */
export function openingRuleset(hold: HoldSpec): string {
  if (hold.devices.length === 0) return '';
  const names = hold.devices.map((name) => `"${name}"`).join(', ');
  return [
    `table netdev ${holdTableOf(hold)} {`,
    '  chain in {',
    `    type filter hook ingress devices = { ${names} } priority -400; policy accept;`,
    '  }',
    '}',
    ...rulesetOf(hold, [...besides(hold), ...forward(hold, opening)]),
  ].join('\n');
}

/** Extends it to everything else. */
export function startRuleset(hold: HoldSpec): string {
  const connections = ['meta l4proto tcp accept'];
  const rules = [...forward(hold, opening), ...connections, ...forward(hold)];
  return rulesetOf(hold, [...besides(hold), ...rules]).join('\n');
}

/** Extends it to all packets: with the lock, in one transaction. */
export function holdRuleset(hold: HoldSpec): string {
  return rulesetOf(hold, [...besides(hold), ...forward(hold)]).join('\n');
}

function rulesetOf(hold: HoldSpec, rules: readonly string[]): string[] {
  if (hold.devices.length === 0) return [];
  const chain = `netdev ${holdTableOf(hold)} in`;
  return [`flush chain ${chain}`, ...rules.map((rule) => `add rule ${chain} ${rule}`), ''];
}

/** The first packet of a connection. */
const opening = 'tcp flags & (syn | ack) == syn ';

/** `which` ends with a space, or is empty for all packets. */
function forward(hold: HoldSpec, which = ''): string[] {
  const { addresses } = hold;
  const action = `${which}fwd to "${ifbNameOf(hold)}"`;
  if (addresses === undefined) return [action];
  return ([4, 6] as const).flatMap((family) => {
    const own = ofFamily(addresses, family);
    const ip = family === 4 ? 'ip' : 'ip6';
    return own.length === 0 ? [] : [`${ip} daddr { ${own.join(', ')} } ${action}`];
  });
}

/** A namespace's: what is not held, and what is for it. */
function besides(hold: HoldSpec): string[] {
  if (hold.addresses !== undefined) return [];
  const answered = answeredBesides.map((what) => `${what} accept`);
  return [...fromTarget(hold), ...answered, ...forHost(hold)];
}

/** The kernel answers these for a frozen job: nobody who looks for it has to look again. */
const answeredBesides = [
  'meta protocol arp',
  'icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert }',
] as const;

function fromTarget({ ownMacs = [] }: HoldSpec): string[] {
  return ownMacs.length === 0 ? [] : [`ether saddr { ${ownMacs.join(', ')} } drop`];
}

function forHost({ macs = [] }: HoldSpec): string[] {
  return macs.length === 0 ? [] : [`ether daddr { ${macs.join(', ')} } meta pkttype set host`];
}

/** Lets all that was held go on its way, and what comes after it pass through in order. */
export async function releaseHold(hold: HoldSpec, armed = armHoldRelease(hold)): Promise<void> {
  if (hold.devices.length === 0) return armed.cancel();
  const open = `tbf rate 100gbit burst 4mb limit ${heldBytesMax}`;
  await armed.fire(`qdisc change dev ${ifbNameOf(hold)} root handle 1: ${open}\n`);
  // tbf looks at its queue again only when something is enqueued.
  await sendDummy(hold, 64);
}

/** Takes everything down; what is not there is fine. */
export async function removeHold(hold: HoldSpec): Promise<void> {
  const table = `netdev ${holdTableOf(hold)}`;
  // `add` before `delete` makes the deletion of a table that is not there succeed.
  const [program, ...args] = inside(hold, ['nft', '-f', '-']);
  await run(program ?? '', args, { input: `add table ${table}\ndelete table ${table}\n` });
  await forgiving(hold, 'ip', ['link', 'del', ifbNameOf(hold)]);
}

/** Packets that were held, and those that found no room, as the queue counts them. */
export async function holdStatistics(hold: HoldSpec): Promise<{ held: number; dropped: number }> {
  if (hold.devices.length === 0) return { held: 0, dropped: 0 };
  const [program, ...args] = inside(hold, [
    'tc',
    '-s',
    '-j',
    'qdisc',
    'show',
    'dev',
    ifbNameOf(hold),
  ]);
  const { stdout } = await run(program ?? '', args);
  const [queue] = JSON.parse(stdout) as { packets?: number; drops?: number; qlen?: number }[];
  const passed = (queue?.packets ?? 0) + (queue?.qlen ?? 0);
  return { held: Math.max(0, passed - ownFrames), dropped: queue?.drops ?? 0 };
}

/** 15 characters are all that a device name may have. */
function ifbNameOf(hold: HoldSpec): string {
  return `mgh${hold.id.slice(0, 10)}`;
}

/** An `nft` that waits for `holdOpening` or `startHold`. */
export function armHold(hold: HoldSpec): ArmedTool {
  return arm(hold, ['nft', '-f', '-']);
}

/** A `tc` that waits for `releaseHold`. */
export function armHoldRelease(hold: HoldSpec): ArmedTool {
  return arm(hold, ['tc', '-batch', '-']);
}

function arm(hold: HoldSpec, argv: readonly string[]): ArmedTool {
  const [program, ...args] = inside(hold, argv);
  return armTool(program ?? '', args);
}

/** The lock of the same move has tables of this name in other families. */
function holdTableOf({ id }: HoldSpec): string {
  return lockTableOf({ id });
}

async function sendDummy(hold: HoldSpec, bytes: number): Promise<void> {
  const socket = openDeviceSocket(ifbNameOf(hold), hold.netns);
  try {
    // An ifb drops what was not redirected to it, so this frame goes nowhere.
    socket.send(Buffer.alloc(bytes - 4, 0));
  } finally {
    socket.close();
  }
}

/** Of the device that has the largest. */
async function mtuOf(hold: HoldSpec): Promise<number> {
  const [program, ...args] = inside(hold, ['ip', '-j', 'link', 'show']);
  const { stdout } = await run(program ?? '', args);
  const links = JSON.parse(stdout) as { ifname: string; mtu: number }[];
  const own = links.filter(({ ifname }) => hold.devices.includes(ifname));
  return Math.max(ethernetMtu, ...own.map(({ mtu }) => mtu));
}

async function tool(hold: HoldSpec, name: 'ip' | 'tc', lines: readonly string[]): Promise<void> {
  const [program, ...args] = inside(hold, [name, '-batch', '-']);
  await run(program ?? '', args, { input: `${lines.join('\n')}\n` });
}

async function forgiving(hold: HoldSpec, name: string, rest: readonly string[]): Promise<void> {
  const [program, ...args] = inside(hold, [name, ...rest]);
  await run(program ?? '', args, { okCodes: [0, 1, 2] }).catch((error: unknown) => {
    if (!isErrno(error, 'ENOENT')) throw error;
  });
}

function inside(hold: HoldSpec, argv: readonly string[]): readonly string[] {
  return hold.netns === undefined ? argv : ['nsenter', `--net=${hold.netns}`, ...argv];
}
