import type { NetlinkSpace } from '../../netlink/space.ts';
import { eachAttribute } from './tuple.ts';

/** NFPROTO_* of include/uapi/linux/netfilter.h, by the words of nft. */
export const nftFamilies = {
  1: 'inet',
  2: 'ip',
  3: 'arp',
  5: 'netdev',
  7: 'bridge',
  10: 'ip6',
} as const;
export type NftFamily = (typeof nftFamilies)[keyof typeof nftFamilies];

/** A table as the kernel lists it. */
export interface NftHead {
  readonly family: NftFamily;
  readonly name: string;
  /** Belongs to the socket of a program, and goes with it (NFT_TABLE_F_OWNER). */
  readonly isOwned: boolean;
  /** Has rules with matches or targets of iptables, so iptables-nft made it. */
  readonly isIptables: boolean;
}

/** NFNL_SUBSYS_NFTABLES with NFT_MSG_GETTABLE, _GETRULE, _GETGEN. */
const messages = { tables: 0xa01, rules: 0xa07, generation: 0xa10 } as const;
const headerBytes = 4;
const ownerFlag = 2;
const tableIds = { name: 1, flags: 2 } as const;
const ruleIds = { table: 1, expressions: 4 } as const;
/** nft_compat.c's names of expressions. */
const iptablesExpressions = new Set(['match', 'target']);

/**
 * The nft tables of a namespace, without the program: 0.1 ms where there is none. What stands in
 * a table is nft(8)'s to say, and a table that iptables-nft made is for iptables to say: nft 1.0.6
 * prints its rules in words of its own that are not the same.
 */
export function readNftHeads(space: NetlinkSpace): NftHead[] {
  const socket = space.socket('netfilter');
  const request = { type: messages.tables, body: Buffer.alloc(headerBytes) };
  const tables = socket.dump(request, 'nft tables').flatMap(({ body }) => headOf(body));
  if (tables.length === 0) return [];
  const rules = socket.dump({ ...request, type: messages.rules }, 'nft rules');
  const theirs = new Set(rules.flatMap(({ body }) => iptablesTableOf(body)));
  return tables.map((one) => ({ ...one, isIptables: theirs.has(`${one.family} ${one.name}`) }));
}

/**
 * A number that is another after each change of the ruleset. Counters, and elements that packets
 * add, change without it.
 */
export function nftGeneration(space: NetlinkSpace): number {
  const request = { type: messages.generation, body: Buffer.alloc(headerBytes) };
  const [answer] = space.socket('netfilter').send([request]);
  let generation = 0;
  const body = answer?.replies[0]?.body ?? Buffer.alloc(0);
  eachAttribute(body, headerBytes, body.length, (id, at) => {
    if (id === 1) generation = body.readUInt32BE(at);
  });
  return generation;
}

function headOf(body: Buffer): Omit<NftHead, 'isIptables'>[] {
  const family = familyOf(body);
  if (family === undefined) return [];
  let name = '';
  let flags = 0;
  eachAttribute(body, headerBytes, body.length, (id, at, end) => {
    if (id === tableIds.name) name = textAt(body, at, end);
    else if (id === tableIds.flags) flags = body.readUInt32BE(at);
  });
  return [{ family, name, isOwned: (flags & ownerFlag) !== 0 }];
}

function iptablesTableOf(body: Buffer): string[] {
  let table = '';
  let isTheirs = false;
  eachAttribute(body, headerBytes, body.length, (id, at, end) => {
    if (id === ruleIds.table) table = textAt(body, at, end);
    else if (id === ruleIds.expressions) isTheirs = hasIptablesExpression(body, at, end);
  });
  return isTheirs ? [`${familyOf(body)} ${table}`] : [];
}

/** A list of nests, each with a name and what belongs to it. */
function hasIptablesExpression(bytes: Buffer, start: number, end: number): boolean {
  let found = false;
  eachAttribute(bytes, start, end, (_item, at, itemEnd) => {
    eachAttribute(bytes, at, itemEnd, (id, from, to) => {
      if (id === 1 && iptablesExpressions.has(textAt(bytes, from, to))) found = true;
    });
  });
  return found;
}

function familyOf(body: Buffer): NftFamily | undefined {
  const number = body[0] ?? 0;
  return (nftFamilies as Readonly<Record<number, NftFamily>>)[number];
}

function textAt(bytes: Buffer, at: number, end: number): string {
  return bytes.toString('utf8', at, end).replace(/\0.*$/s, '');
}
