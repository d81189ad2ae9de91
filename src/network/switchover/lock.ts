import { isIPv4 } from 'node:net';
import { type ArmedTool, armTool } from '../../host/arm.ts';
import { run } from '../../host/run.ts';
import { addressBytes, ofFamily } from '../address.ts';

/**
 * One lock for all connections of a job: nft tables named after the move that drop what comes for
 * the job's addresses and what leaves from them. Its cost does not depend on the connections.
 */
export interface LockSpec {
  /** Names the tables; one move, one lock. */
  readonly id: string;
  /**
   * The job's addresses, its private loopback ones included. Absent for a namespace: everything in
   * it is the job's, and what its sockets send each other must stop as well.
   */
  readonly addresses?: readonly string[];
  /** The network namespace to lock in; the host's own unless given. */
  readonly netns?: string;
  /**
   * Source side: where packets go that are released after the commit. They are sent on to the
   * target unchanged (nft `dup`: kernel net/ipv4/netfilter/nf_dup_ipv4.c).
   */
  readonly relays?: readonly Relay[];
  /** Target side: answer neither ARP nor neighbour solicitations before the commit. */
  readonly mute?: boolean;
}

/** Where what arrives on a device is sent on to: a neighbour of it, or of another. */
export interface Relay {
  readonly device: string;
  readonly via?: string;
  readonly v4?: string;
  readonly v6?: string;
}

/** `besides` are nft rules that go into the same transaction. */
export async function addLock(lock: LockSpec, armed?: ArmedTool, besides = ''): Promise<void> {
  await nft(lockRuleset(lock) + besides, lock.netns, armed);
}

/**
 * Opens a lock that stands, without removing it: an accept in front of each chain. Removing takes
 * the kernel 10 to 20 ms (it waits for packets under way), this takes less than one.
 */
export async function openLock(lock: LockSpec, armed?: ArmedTool): Promise<void> {
  const families = lock.mute === true ? ['inet', 'arp'] : ['inet'];
  const lines = families.flatMap((family) =>
    ['in', 'out'].map((chain) => `insert rule ${family} ${lockTableOf(lock)} ${chain} accept`),
  );
  await nft(`${lines.join('\n')}\n`, lock.netns, armed);
}

/** A locked namespace whose job runs elsewhere says no more who has its addresses. */
export async function leaveLocked(lock: LockSpec, armed?: ArmedTool): Promise<void> {
  await nft(leaveRuleset(lock), lock.netns, armed);
}

/** Removes the lock; one that is not there is fine. */
export async function removeLock(lock: Pick<LockSpec, 'id' | 'netns'>): Promise<void> {
  await nft(unlockRuleset(lock), lock.netns, undefined);
}

/** The nft script that makes the lock, in one transaction. */
export function lockRuleset(lock: LockSpec): string {
  if (lock.addresses === undefined) return namespaceRuleset(lock);
  const { addresses } = lock;
  const v4 = ofFamily(addresses, 4).join(', ');
  const v6 = ofFamily(addresses, 6).join(', ');
  const drops = (direction: 'saddr' | 'daddr'): string =>
    [
      v4 === '' ? '' : `    ip ${direction} { ${v4} } drop`,
      v6 === '' ? '' : `    ip6 ${direction} { ${v6} } drop`,
    ]
      .filter(Boolean)
      .join('\n');
  return [
    `table inet ${lockTableOf(lock)} {`,
    '  chain in {',
    '    type filter hook input priority -400; policy accept;',
    ownPackets,
    ...(lock.mute === true ? ofFamily(addresses, 6).map(muteSolicitation) : []),
    drops('daddr'),
    '  }',
    '  chain out {',
    '    type filter hook output priority -400; policy accept;',
    ownPackets,
    drops('saddr'),
    '  }',
    '}',
    ...(lock.mute === true && v4 !== '' ? [muteArp(lock, v4)] : []),
    ...relayTables(lock),
    '',
  ].join('\n');
}

/** The kernel goes on telling who has the job's addresses, until `leaveRuleset`. */
function namespaceRuleset(lock: LockSpec): string {
  const chain = (
    name: string,
    hook: string,
    policy: string,
    rules: readonly string[],
  ): string[] => [
    `  chain ${name} {`,
    `    type filter hook ${hook} priority -400; policy ${policy};`,
    ...rules,
    '  }',
  ];
  const rules = [ownPackets, `    icmpv6 type ${neighbourQuestions} accept`];
  return [
    `table inet ${lockTableOf(lock)} {`,
    ...chain('in', 'input', 'drop', rules),
    ...chain('out', 'output', 'drop', rules),
    '}',
    `table arp ${lockTableOf(lock)} {`,
    ...chain('in', 'input', 'accept', []),
    ...chain('out', 'output', 'accept', []),
    '}',
    ...relayTables(lock),
    '',
  ].join('\n');
}

const neighbourQuestions = '{ nd-neighbor-solicit, nd-neighbor-advert }';

/** Of `leaveLocked`: other policies take less time than other tables. */
export function leaveRuleset(lock: Pick<LockSpec, 'id'>): string {
  const table = lockTableOf(lock);
  return ['in', 'out']
    .map(
      (chain) =>
        `insert rule inet ${table} ${chain} icmpv6 type ${neighbourQuestions} drop\n` +
        `chain arp ${table} ${chain} { policy drop; }\n`,
    )
    .join('');
}

/**
 * CRIU restores a half-closed connection by sending it a FIN of its own making, marked so that a
 * lock can tell it (soccr/soccr.h, SOCCR_MARK).
 */
const ownMark = '0xc114';
const ownPackets = `    meta mark ${ownMark} accept`;

/** `add` before `delete` makes the deletion of a table that is not there succeed. */
export function unlockRuleset(lock: Pick<LockSpec, 'id'>): string {
  return ['inet', 'arp', 'ip', 'ip6']
    .map(
      (family) =>
        `add table ${family} ${lockTableOf(lock)}\ndelete table ${family} ${lockTableOf(lock)}\n`,
    )
    .join('');
}

function muteArp(lock: LockSpec, v4: string): string {
  return [
    `table arp ${lockTableOf(lock)} {`,
    '  chain in {',
    '    type filter hook input priority -400; policy accept;',
    `    arp daddr ip { ${v4} } drop`,
    '  }',
    '  chain out {',
    '    type filter hook output priority -400; policy accept;',
    `    arp saddr ip { ${v4} } drop`,
    '  }',
    '}',
  ].join('\n');
}

/** The solicited target lies 8 bytes into the ICMPv6 header (RFC 4861, 4.3). */
function muteSolicitation(address: string): string {
  const target = addressBytes(address).toString('hex');
  return `    icmpv6 type nd-neighbor-solicit @th,64,128 0x${target} drop`;
}

function relayTables(lock: LockSpec): string[] {
  return ([4, 6] as const).flatMap((family) => {
    const rules = relayRules(family, lock);
    if (rules.length === 0) return [];
    return [
      [
        `table ${family === 4 ? 'ip' : 'ip6'} ${lockTableOf(lock)} {`,
        '  chain relay {',
        '    type filter hook prerouting priority -350; policy accept;',
        ...rules,
        '  }',
        '}',
      ].join('\n'),
    ];
  });
}

/** Whether a lock has a chain `relay` for packets of a family. */
export function isRelayed(lock: LockSpec, family: 4 | 6): boolean {
  return relayRules(family, lock).length > 0;
}

function relayRules(family: 4 | 6, lock: LockSpec): string[] {
  const name = family === 4 ? 'ip' : 'ip6';
  return (lock.relays ?? []).flatMap((relay) => relayRule(name, relay, lock));
}

/** Marked, so that the lock lets it out; the mark stays on this host. */
function relayRule(family: 'ip' | 'ip6', relay: Relay, { addresses }: LockSpec): string[] {
  const nextHop = family === 'ip' ? relay.v4 : relay.v6;
  const outside = addresses?.filter((address) => !isPrivateLoopback(address));
  const own = outside === undefined ? undefined : ofFamily(outside, family === 'ip' ? 4 : 6);
  if (nextHop === undefined || own?.length === 0) return [];
  const multicast = family === 'ip' ? '224.0.0.0/3' : 'ff00::/8';
  const which = own === undefined ? `!= ${multicast}` : `{ ${own.join(', ')} }`;
  const mark = own === undefined ? ` meta mark set ${ownMark}` : '';
  const { device, via = device } = relay;
  return [
    `    iifname "${device}" ${family} daddr ${which}${mark} dup to ${nextHop} device "${via}" drop`,
  ];
}

/** Loopback traffic never arrives on a device, so it is never relayed. */
function isPrivateLoopback(address: string): boolean {
  return isIPv4(address) && address.startsWith('127.');
}

export function lockTableOf(lock: Pick<LockSpec, 'id'>): string {
  return `migrate-${lock.id}`;
}

/** An `nft` that waits for the ruleset of `addLock` or `openLock`. */
export function armLock(netns?: string): ArmedTool {
  const [program, ...args] = nftIn(netns);
  return armTool(program, args);
}

async function nft(
  ruleset: string,
  netns: string | undefined,
  armed: ArmedTool | undefined,
): Promise<void> {
  const [program, ...args] = nftIn(netns);
  if (armed === undefined) await run(program, args, { input: ruleset });
  else await armed.fire(ruleset);
}

function nftIn(netns: string | undefined): [string, ...string[]] {
  if (netns === undefined) return ['nft', '-f', '-'];
  return ['nsenter', `--net=${netns}`, 'nft', '-f', '-'];
}
