import { isIPv4 } from 'node:net';
import { addressBytes } from '../address.ts';
import type { GroupMembership } from './settings.ts';

/** A group that somebody in the namespace has joined on a device. */
export interface JoinedGroup {
  readonly group: string;
  readonly device: string;
  readonly index: number;
}

/**
 * Every group of a network namespace, from /proc/net/igmp and igmp6: which of its sockets are in
 * one, only the sockets themselves can tell (MCAST_MSFILTER).
 */
export function joinedGroups(igmp: string, igmp6: string): JoinedGroup[] {
  return [...fromIgmp(igmp), ...fromIgmp6(igmp6)];
}

/** `2 eth0 : 1 V3` and below it `010000E0 1 0:00000000 0`, an address as the kernel's u32. */
function fromIgmp(text: string): JoinedGroup[] {
  const found: JoinedGroup[] = [];
  let device: { index: number; device: string } | undefined;
  for (const line of text.split('\n').slice(1)) {
    const head = /^(\d+)\s+(\S+?)\s*:/.exec(line);
    if (head !== null) device = { index: Number(head[1]), device: head[2] ?? '' };
    const hex = /^\s+([0-9A-F]{8})\s/.exec(line)?.[1];
    if (hex === undefined || device === undefined) continue;
    found.push({ ...device, group: [...Buffer.from(hex, 'hex').reverse()].join('.') });
  }
  return found;
}

/** `2 eth0 ff020000000000000000000000000001 1 0000000C 0` */
function fromIgmp6(text: string): JoinedGroup[] {
  const found: JoinedGroup[] = [];
  for (const line of text.split('\n')) {
    const [, index, device = '', hex = ''] = /^(\d+)\s+(\S+)\s+([0-9a-f]{32})\s/.exec(line) ?? [];
    if (index === undefined) continue;
    found.push({ index: Number(index), device, group: writeIpv6(Buffer.from(hex, 'hex')) });
  }
  return found;
}

/** Where and how membership requests are made (include/uapi/linux/in.h, in6.h). */
export const groupRequests = { join: 42, joinSource: 46, filter: 48, ip4: 0, ip6: 41 } as const;

/** The level of the requests about a group. */
export function levelOf(group: string): number {
  return isIPv4(group) ? groupRequests.ip4 : groupRequests.ip6;
}

const storageBytes = 128;
const filterHeadBytes = 16 + storageBytes;
const modeAt = 8 + storageBytes;
const countAt = modeAt + 4;
/** MCAST_INCLUDE of include/uapi/linux/in.h; MCAST_EXCLUDE is 0. */
const modeInclude = 1;

/** struct group_filter with room for `sources`, as a question or with an answer in it. */
export function groupFilter(
  { group, index }: Pick<JoinedGroup, 'group' | 'index'>,
  sources: number,
): Buffer {
  const bytes = Buffer.alloc(filterHeadBytes + storageBytes * sources);
  bytes.writeUInt32LE(index, 0);
  writeAddress(bytes, 8, group);
  bytes.writeUInt32LE(sources, countAt);
  return bytes;
}

/** What MCAST_MSFILTER answered; `sources` are as many as there was room for, `total` all. */
export function readFilter(bytes: Buffer): {
  mode: GroupMembership['mode'];
  sources: string[];
  total: number;
} {
  const total = bytes.readUInt32LE(countAt);
  const room = (bytes.length - filterHeadBytes) / storageBytes;
  const sources: string[] = [];
  for (let number = 0; number < Math.min(total, room); number += 1) {
    sources.push(readAddress(bytes, filterHeadBytes + number * storageBytes));
  }
  const mode = bytes.readUInt32LE(modeAt) === modeInclude ? 'include' : 'exclude';
  return { mode, sources, total };
}

/** The requests that make a fresh socket a member: option and value, in order. */
export function joinRequests(
  { group, mode, sources }: GroupMembership,
  index: number,
): { option: number; value: Buffer }[] {
  if (mode === 'include') {
    return sources.map((source) => {
      const value = Buffer.alloc(8 + 2 * storageBytes);
      value.writeUInt32LE(index, 0);
      writeAddress(value, 8, group);
      writeAddress(value, 8 + storageBytes, source);
      return { option: groupRequests.joinSource, value };
    });
  }
  const join = Buffer.alloc(8 + storageBytes);
  join.writeUInt32LE(index, 0);
  writeAddress(join, 8, group);
  const requests = [{ option: groupRequests.join as number, value: join }];
  if (sources.length === 0) return requests;
  const filter = groupFilter({ group, index }, sources.length);
  for (const [number, source] of sources.entries()) {
    writeAddress(filter, filterHeadBytes + number * storageBytes, source);
  }
  return [...requests, { option: groupRequests.filter, value: filter }];
}

const afInet = 2;
const afInet6 = 10;

/** struct sockaddr_in or sockaddr_in6. */
function writeAddress(bytes: Buffer, at: number, address: string): void {
  if (isIPv4(address)) {
    bytes.writeUInt16LE(afInet, at);
    addressBytes(address).copy(bytes, at + 4);
  } else {
    bytes.writeUInt16LE(afInet6, at);
    addressBytes(address).copy(bytes, at + 8);
  }
}

function readAddress(bytes: Buffer, at: number): string {
  if (bytes.readUInt16LE(at) === afInet6) return writeIpv6(bytes.subarray(at + 8, at + 24));
  return [...bytes.subarray(at + 4, at + 8)].join('.');
}

/** Eight groups, none left out: for programs, and unique. */
function writeIpv6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(at * 2).toString(16));
  return groups.join(':');
}
