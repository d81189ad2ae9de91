import type { Reading } from '../../../netlink/codec.ts';
import type { NetlinkSpace } from '../../../netlink/space.ts';
import { bytesOfHex, type FilterHook, handleNumber } from './message.ts';
import { queueKinds } from './queue-kinds.ts';
import { type Qdisc, readClasses, readQdiscs } from './queues.ts';
import { rawAttributes } from './raw-attributes.ts';

/** TC_H_MIN_INGRESS and TC_H_MIN_EGRESS of clsact. */
const clsactHooks = ['ffff:fff2', 'ffff:fff3'] as const;
/** Blocks of RED whose filters see what it drops and what it marks. */
const redBlocks = [5, 6] as const;

/** All places of a namespace where filters can be: qdiscs, classes that have their own, blocks. */
export function filterHooks(space: NetlinkSpace, reading: Reading): FilterHook[] {
  const qdiscs = readQdiscs(space, reading);
  const blocks = new Set(qdiscs.flatMap(blocksOf));
  return [
    ...qdiscs.flatMap((one) => hooksOf(one, space, reading)),
    ...[...blocks].sort((a, b) => a - b).map((block) => ({ block })),
  ];
}

function blocksOf({ kind, options, ingressBlock, egressBlock }: Qdisc): number[] {
  const events = kind === 'red' ? rawAttributes(bytesOfHex(options)) : [];
  const ofEvents = events
    .filter(({ id, payload }) => redBlocks.some((red) => red === id) && payload.length >= 4)
    .map(({ payload }) => payload.readUInt32LE(0));
  return [ingressBlock, egressBlock, ...ofEvents].filter((one) => one !== undefined);
}

function hooksOf(qdisc: Qdisc, space: NetlinkSpace, reading: Reading): FilterHook[] {
  const { link, kind, handle } = qdisc;
  const known = queueKinds[kind];
  if (known === undefined || known.isPlain === true) return [];
  if (kind === 'clsact' || kind === 'ingress') return hooksOfEntry(qdisc);
  const own = { link, parent: handle };
  if (known.classes?.hasFilters !== true) return [own];
  const classes = readClasses(qdisc, space, reading).map((one) => one.handle);
  const sorted = classes.sort((a, b) => handleNumber(a) - handleNumber(b));
  return [own, ...sorted.map((parent) => ({ link, parent }))];
}

/** Filters of a shared block are read once, as the block's. */
function hooksOfEntry({ link, kind, handle, ingressBlock, egressBlock }: Qdisc): FilterHook[] {
  const [ingress, egress] = kind === 'clsact' ? clsactHooks : [handle, undefined];
  return [
    ...(ingressBlock === undefined ? [{ link, parent: ingress }] : []),
    ...(egress === undefined || egressBlock !== undefined ? [] : [{ link, parent: egress }]),
  ];
}
