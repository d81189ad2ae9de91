import { z } from 'zod';
import { bytesOf, type LinkNames, uint32Schema } from '../../../netlink/codec.ts';
import { l2Limits } from '../../limits.ts';

/** What tc(8) writes: `1:10`, `root`, `ingress`; hexadecimal numbers. */
export const handleSchema = z.string().regex(/^(root|ingress|[0-9a-f]{1,4}:[0-9a-f]{0,4})$/);

/** What the kernel takes as the name of a qdisc, a classifier, an action (IFNAMSIZ). */
export const kindSchema = z.string().regex(/^[A-Za-z0-9_-]{1,15}$/);

/** The bytes of TCA_OPTIONS. */
export const optionBytes = bytesOf(l2Limits.tcOptionsBytesMax);

export function bytesOfHex(hex: string | undefined): Buffer {
  return Buffer.from(hex ?? '', 'hex');
}

export const blockSchema = uint32Schema.min(1).max(0xffff_fffe);

/** TC_H_ROOT and TC_H_INGRESS of include/uapi/linux/pkt_sched.h. */
const hooks = { root: 0xffff_ffff, ingress: 0xffff_fff1 } as const;

export function handleText(handle: number): string {
  if (handle === hooks.root) return 'root';
  if (handle === hooks.ingress) return 'ingress';
  const minor = handle & 0xffff;
  return `${(handle >>> 16).toString(16)}:${minor === 0 ? '' : minor.toString(16)}`;
}

export function handleNumber(text: string): number {
  if (text === 'root' || text === 'ingress') return hooks[text];
  const [major = '', minor = ''] = text.split(':');
  return ((Number.parseInt(major, 16) << 16 || 0) + (Number.parseInt(minor, 16) || 0)) >>> 0;
}

/** `1:` of `1:10`: the qdisc that a class belongs to. */
export function majorOf(text: string): string {
  return text.replace(/:.*$/, ':');
}

/** Where filters hang: at a device's qdisc or class, or at a block that several devices share. */
export interface FilterHook {
  readonly link?: string | undefined;
  readonly parent?: string | undefined;
  readonly block?: number | undefined;
}

/** struct tcmsg of include/uapi/linux/rtnetlink.h. */
export const tcHeaderBytes = 20;
/** TCM_IFINDEX_MAGIC_BLOCK: what stands for the device when a block is meant. */
const blockIndex = 0xffff_ffff;

interface TcHeader {
  readonly link: string;
  readonly handle?: number;
  readonly parent?: number;
  readonly info?: number;
}

export function tcHeader({ link, handle, parent, info }: TcHeader, names: LinkNames): Buffer {
  return headerOf(names.indexOf(link), handle ?? 0, parent ?? 0, info ?? 0);
}

/** The header of a message about a filter or a chain of that hook. */
export function hookHeader(hook: FilterHook, handle: number, info: number, names: LinkNames) {
  const { link, parent, block } = hook;
  if (block !== undefined || link === undefined) {
    return headerOf(blockIndex, handle, block ?? 0, info);
  }
  return headerOf(names.indexOf(link), handle, handleNumber(parent ?? 'root'), info);
}

/** Of a dump of everything in the namespace. */
export function emptyHeader(): Buffer {
  return Buffer.alloc(tcHeaderBytes);
}

function headerOf(index: number, handle: number, parent: number, info: number): Buffer {
  const header = Buffer.alloc(tcHeaderBytes);
  header.writeUInt32LE(index, 4);
  header.writeUInt32LE(handle, 8);
  header.writeUInt32LE(parent, 12);
  header.writeUInt32LE(info, 16);
  return header;
}

export function readHeader(bytes: Buffer) {
  return {
    index: bytes.readUInt32LE(4),
    handle: bytes.readUInt32LE(8),
    parent: bytes.readUInt32LE(12),
    info: bytes.readUInt32LE(16),
  };
}

/** Devices that are migrate's own begin so; no job has anything of theirs. */
const ownPrefix = 'mgh';

export function isOwnLink(link: string): boolean {
  return link.startsWith(ownPrefix);
}
