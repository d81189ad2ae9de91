import { type ArmedTool, armTool } from '../../host/arm.ts';
import { isErrno } from '../../host/files.ts';
import { openDeviceSocket } from '../../host/netns.ts';
import { run } from '../../host/run.ts';
import { ofFamily } from '../address.ts';

/**
 * Packets for the job are held, not dropped, while it is frozen: what arrives on `device` for one
 * of `addresses` is redirected to an ifb whose token bucket is empty, and comes back in order once
 * the rate is opened. A dropped packet would cost the client its retransmission timer, 200 ms.
 * (tc-mirred(8), tc-tbf(8), kernel drivers/net/ifb.c.)
 */
export interface HoldSpec {
  readonly id: string;
  readonly device: string;
  readonly addresses: readonly string[];
  readonly netns?: string;
}

/** Bytes that a hold may keep: a second of a gigabit link would be 125 MB, a freeze is shorter. */
const heldBytesMax = 32 * 1024 * 1024;
/** So slow a refill lets nothing through for some seconds, not even a small packet. */
const leakBytesPerSecond = 8;
/** Ethernet header, a VLAN tag and some air. */
const frameOverheadBytes = 22;
/** One empties the bucket, one wakes the queue. */
const ownFrames = 2;
/** Room for our two priorities per move, apart from what administrators use. */
const preferenceBase = 0x4000;

/** Everything that takes time: the ifb, its empty bucket, the ingress hook of the device. */
export async function prepareHold(hold: HoldSpec): Promise<void> {
  const frameBytes = (await mtuOf(hold)) + frameOverheadBytes;
  const ifb = ifbNameOf(hold);
  await tool(hold, 'ip', [`link add ${ifb} mtu ${frameBytes} type ifb`, `link set ${ifb} up`]);
  await tool(hold, 'tc', [
    `qdisc add dev ${ifb} root handle 1: tbf rate ${leakBytesPerSecond}bps burst ${frameBytes} limit ${heldBytesMax}`,
  ]);
  await ensureIngress(hold);
  // A full bucket would let the first small packets pass, and the stack would answer them with RST.
  await sendDummy(hold, frameBytes);
}

/** From here on packets queue up. One program, some milliseconds. */
export async function startHold(hold: HoldSpec, armed?: ArmedTool): Promise<void> {
  const redirect = (protocol: string, match: string, preference: number): string =>
    `filter add dev ${hold.device} ingress pref ${preference} protocol ${protocol} u32 ` +
    `match ${match} action mirred egress redirect dev ${ifbNameOf(hold)}`;
  const [v4, v6] = preferencesOf(hold);
  const lines = [
    ...ofFamily(hold.addresses, 4).map((a) => redirect('ip', `ip dst ${a}/32`, v4)),
    ...ofFamily(hold.addresses, 6).map((a) => redirect('ipv6', `ip6 dst ${a}/128`, v6)),
  ];
  await tool(hold, 'tc', lines, armed);
}

/** Lets all that was held go on its way, and what comes after it pass through in order. */
export async function releaseHold(hold: HoldSpec, armed?: ArmedTool): Promise<void> {
  const open = `tbf rate 100gbit burst 4mb limit ${heldBytesMax}`;
  const line = `qdisc change dev ${ifbNameOf(hold)} root handle 1: ${open}`;
  await tool(hold, 'tc', [line], armed);
  // tbf looks at its queue again only when something is enqueued.
  await sendDummy(hold, 64);
}

/** Takes everything down; what is not there is fine. */
export async function removeHold(hold: HoldSpec): Promise<void> {
  const [v4, v6] = preferencesOf(hold);
  for (const preference of [v4, v6]) {
    await forgiving(hold, 'tc', [
      'filter',
      'del',
      'dev',
      hold.device,
      'ingress',
      'pref',
      `${preference}`,
    ]);
  }
  await forgiving(hold, 'ip', ['link', 'del', ifbNameOf(hold)]);
  await dropIngress(hold);
}

/** Packets that were held, and those that found no room, as the queue counts them. */
export async function holdStatistics(hold: HoldSpec): Promise<{ held: number; dropped: number }> {
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

/** A `tc` that waits for the lines of `startHold` or `releaseHold`. */
export function armHold(hold: HoldSpec): ArmedTool {
  const [program, ...args] = inside(hold, ['tc', '-batch', '-']);
  return armTool(program ?? '', args);
}

function preferencesOf(hold: HoldSpec): [number, number] {
  const slot = Number.parseInt(hold.id.slice(0, 3), 16);
  return [preferenceBase + slot * 2, preferenceBase + slot * 2 + 1];
}

async function ensureIngress(hold: HoldSpec): Promise<void> {
  const [program, ...args] = inside(hold, ['tc', 'qdisc', 'add', 'dev', hold.device, 'clsact']);
  // An administrator's own ingress or clsact hook takes our filters as well.
  await run(program ?? '', args, { okCodes: [0, 2] });
}

/** The hook goes when nobody's filters are left on it, whoever made it empty. */
async function dropIngress(hold: HoldSpec): Promise<void> {
  for (const direction of ['ingress', 'egress']) {
    const [program, ...args] = inside(hold, [
      'tc',
      'filter',
      'show',
      'dev',
      hold.device,
      direction,
    ]);
    const { stdout } = await run(program ?? '', args, { okCodes: [0, 1, 2] });
    if (stdout.trim() !== '') return;
  }
  await forgiving(hold, 'tc', ['qdisc', 'del', 'dev', hold.device, 'clsact']);
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

async function mtuOf(hold: HoldSpec): Promise<number> {
  const [program, ...args] = inside(hold, ['ip', '-j', 'link', 'show', hold.device]);
  const [link] = JSON.parse((await run(program ?? '', args)).stdout) as { mtu: number }[];
  return link?.mtu ?? 1500;
}

async function tool(
  hold: HoldSpec,
  name: 'ip' | 'tc',
  lines: readonly string[],
  armed?: ArmedTool,
): Promise<void> {
  const input = `${lines.join('\n')}\n`;
  if (armed !== undefined) {
    await armed.fire(input);
    return;
  }
  const [program, ...args] = inside(hold, [name, '-batch', '-']);
  await run(program ?? '', args, { input });
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
