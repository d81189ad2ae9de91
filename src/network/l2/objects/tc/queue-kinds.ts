import { attributeBytes } from '../../../netlink/attributes.ts';
import { idleDamping } from './idle-damping.ts';
import {
  dropped,
  droppedWhen,
  type Edit,
  edited,
  rawAttributes,
  written,
} from './raw-attributes.ts';

/** How the options of a qdisc come from the kernel and go back to it (net/sched/sch_*.c). */
export interface QueueKind {
  /** What the kernel prints and does not take, or what changes by itself, is mended here. */
  readonly read?: (options: Buffer) => Buffer;
  /** What the kernel wants and does not print is added here. */
  readonly give?: (options: Buffer) => Buffer;
  /** What decides whether two are equal; without it, all of the options. */
  readonly compared?: (options: Buffer) => string;
  /** A struct, alone or before the attributes; without it there are attributes only. */
  readonly isStruct?: true;
  /** Its classes are made by hand, and printed so. */
  readonly classes?: ClassKind;
  /** Takes no filters. */
  readonly isPlain?: true;
  /** What of a setup cannot be known or made again. */
  readonly problem?: (options: Buffer) => string | undefined;
  readonly warning?: (options: Buffer) => string | undefined;
}

interface ClassKind {
  readonly read?: (options: Buffer) => Buffer;
  /** Each class has filters of its own, besides those of the qdisc. */
  readonly hasFilters: boolean;
}

const plainStruct: QueueKind = { isStruct: true, isPlain: true };
const noOptions = () => Buffer.alloc(0);

/** Edits of attributes. */
function editing(edits: Readonly<Record<number, Edit>>) {
  return (options: Buffer) => edited(options, edits);
}

/**
 * CoDel keeps times in units of 1,024 ns and prints microseconds rounded down: given back, 4,999
 * would become 4,998. This is the smallest number that becomes what the kernel has
 * (include/net/codel.h).
 */
const codelTime: Edit = (payload) =>
  written(payload, 4, (copy) => {
    const units = Math.ceil((payload.readUInt32LE(0) * 1000) / 1024);
    copy.writeUInt32LE(Math.min(Math.ceil((units * 1024) / 1000), 0xffff_ffff));
  });

/** struct tc_htb_glob: the version is told otherwise than it is taken, packets are counted. */
const htbGlobal: Edit = (payload) =>
  written(payload, 20, (copy) => {
    copy.writeUInt32LE(payload.readUInt32LE(0) >>> 16, 0);
    copy.writeUInt32LE(0, 16);
  });

/** struct tc_htb_opt: the level follows from the classes below. */
const htbClass: Edit = (payload) => written(payload, 44, (copy) => copy.writeUInt32LE(0, 36));

const htbOffload = 9;
const red = { parameters: 1, table: 2, flags: 4, flagsAt: 15 } as const;

/** Flags are printed twice and taken once. */
function withFlagsOnce(options: Buffer): Buffer {
  if (!rawAttributes(options).some(({ id }) => id === red.flags)) return options;
  return edited(options, {
    [red.parameters]: (payload) =>
      written(payload, red.flagsAt + 1, (copy) => copy.writeUInt8(0, red.flagsAt)),
  });
}

function withIdleDamping(options: Buffer): Buffer {
  return Buffer.concat([options, attributeBytes(red.table, idleDamping())]);
}

const idleWarning = () => 'how fast its average falls while it is idle is known to a factor of 1.4';

/** struct tc_sfq_qopt_v1, counters at its end; as it comes it has one flow more than places. */
const sfq = { limit: 8, flows: 16, counters: 48, bytes: 72, ownLimit: 127, ownFlows: 128 } as const;

/** What it comes with is left to it: given back, the number of flows would be cut to the limit. */
function sfqOptions(options: Buffer): Buffer {
  return written(options, sfq.bytes, (copy) => {
    copy.fill(0, sfq.counters, sfq.bytes);
    const isOwn =
      copy.readUInt32LE(sfq.limit) === sfq.ownLimit &&
      copy.readUInt32LE(sfq.flows) === sfq.ownFlows;
    if (!isOwn) return;
    copy.writeUInt32LE(0, sfq.limit);
    copy.writeUInt32LE(0, sfq.flows);
  });
}

const mqprio = { bytes: 82, hardware: 17 } as const;
const netem = { bytes: 24, jitter: 20, jitter64: 11, slot: 12, seed: 14 } as const;
const cakeNat = 11;

function netemWarning(options: Buffer): string | undefined {
  const attributes = rawAttributes(options.subarray(netem.bytes));
  const jitter = attributes.find(({ id }) => id === netem.jitter64)?.payload;
  const slot = attributes.some(({ id }) => id === netem.slot);
  const isJittering = jitter?.some((byte) => byte !== 0) ?? false;
  if (!isJittering && !slot) return undefined;
  return 'the kernel does not tell the distribution of its delays, they will be uniform';
}

function netemCompared(options: Buffer): string {
  const parts = [
    options.subarray(0, netem.bytes),
    edited(options.subarray(netem.bytes), { [netem.seed]: dropped }),
  ];
  return Buffer.concat(parts).toString('hex');
}

/**
 * Kinds whose setup comes back the same, each tried by a round trip (test/system/tc.test.ts and
 * test/long/vm-tc.test.ts). A kind that is not here is refused by its name.
 */
export const queueKinds: Readonly<Record<string, QueueKind>> = {
  ingress: {},
  clsact: {},
  noqueue: { isPlain: true },
  blackhole: { isPlain: true },
  pfifo: plainStruct,
  bfifo: plainStruct,
  pfifo_head_drop: plainStruct,
  // Its bands are fixed: printed, and refused as options.
  pfifo_fast: { read: noOptions, isPlain: true },
  mq: { isPlain: true },
  mqprio: {
    isStruct: true,
    isPlain: true,
    // Attributes are taken for hardware only.
    read: (options) => options.subarray(0, mqprio.bytes),
    problem: (options) =>
      options[mqprio.hardware] === 0 ? undefined : 'its queues are those of the hardware',
  },
  prio: { isStruct: true },
  // The number of bands is the number of the device's queues.
  multiq: { isStruct: true },
  skbprio: plainStruct,
  sfq: {
    isStruct: true,
    read: sfqOptions,
  },
  sfb: {},
  tbf: { isPlain: true },
  red: { read: withFlagsOnce, give: withIdleDamping, warning: idleWarning, isPlain: true },
  choke: { give: withIdleDamping, warning: idleWarning, isPlain: true },
  codel: { read: editing({ 1: codelTime, 3: codelTime, 5: codelTime }), isPlain: true },
  fq_codel: {
    // The selector and its mask came with 5.18 and 5.19 and are printed with a threshold only.
    read: editing({ 1: codelTime, 3: codelTime, 7: codelTime }),
  },
  fq: {
    isPlain: true,
    read: editing({
      // No longer used by the kernel.
      6: dropped,
      // "Never", cut to 32 bits and divided.
      12: droppedWhen('efa7c64b'),
      // What is printed since 6.7 and 6.13, as it is without being set.
      16: droppedWhen('0300000001020202010200000101010101010101'),
      17: droppedWhen('000008000000030000000100'),
      18: droppedWhen('80969800'),
    }),
  },
  pie: { isPlain: true },
  fq_pie: {},
  // Without connection tracking in the kernel even "no NAT" is refused.
  cake: { read: editing({ [cakeNat]: droppedWhen('00000000') }) },
  hhf: { isPlain: true },
  etf: { isPlain: true },
  cbs: {
    isPlain: true,
    problem: (options) =>
      rawAttributes(options)[0]?.payload[0] === 0 ? undefined : 'it is offloaded to hardware',
  },
  ets: {},
  netem: { isStruct: true, isPlain: true, warning: netemWarning, compared: netemCompared },
  htb: {
    read: editing({ 2: htbGlobal }),
    classes: { read: editing({ 1: htbClass }), hasFilters: true },
    problem: (options) =>
      rawAttributes(options).some(({ id }) => id === htbOffload)
        ? 'it is offloaded to hardware'
        : undefined,
  },
  hfsc: { isStruct: true, classes: { hasFilters: true } },
  drr: { classes: { hasFilters: false } },
  qfq: { classes: { hasFilters: false } },
};

/** Why one of that kind cannot be made again. */
export function queueProblem(kind: string, options: Buffer): string | undefined {
  if (kind === 'plug') return 'the kernel does not tell whether it holds packets back';
  const known = queueKinds[kind];
  if (known === undefined) return 'this version does not know how to make one again';
  return known.problem?.(options);
}
