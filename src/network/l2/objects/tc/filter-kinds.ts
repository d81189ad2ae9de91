import { attributeBytes } from '../../../netlink/attributes.ts';
import { dropped, edited, rawAttributes } from './raw-attributes.ts';

/** How the options of a filter come from the kernel and go back to it (net/sched/cls_*.c). */
export interface FilterKind {
  /** The attribute that holds its actions. */
  readonly actions: number;
  /** The attribute that holds one `police`, as filters did before there were actions. */
  readonly police?: number;
  /** The attribute of TCA_CLS_FLAGS_*, of which two tell what hardware did. */
  readonly flags?: number;
  /** What the kernel prints in another form than it takes is mended here. */
  readonly read?: (options: Buffer, protocol: number) => Buffer;
  /** Counters and padding. */
  readonly dropped?: readonly number[];
  /** The attribute that has the number of a device. */
  readonly link?: number;
  /** A tree of conditions (tc-ematch(8)). */
  readonly conditions?: number;
  /**
   * In what order those of one preference stand: the kernel puts a new one in front of the others,
   * behind them, or where its handle says.
   */
  readonly placed: 'first' | 'last' | 'by handle';
  readonly problem?: (options: Buffer) => string | undefined;
}

const flower = { type: 8, vlan: [23, 24, 25], vlanCount: 102 } as const;
const vlanProtocols = [0x8100, 0x88a8] as const;

/**
 * The kernel prints the protocol inside of VLAN tags where it takes that of the outer tag, which is
 * the protocol of the whole preference (cls_flower.c, fl_dump_key and fl_set_key).
 */
function withOuterType(options: Buffer, protocol: number): Buffer {
  const ids = rawAttributes(options).map(({ id }) => id);
  if (vlanProtocols.some((one) => one === protocol)) {
    const type = Buffer.alloc(2);
    type.writeUInt16BE(protocol);
    return Buffer.concat([
      attributeBytes(flower.type, type),
      edited(options, { [flower.type]: dropped }),
    ]);
  }
  const isCounted = ids.includes(flower.vlanCount);
  const hasTag = flower.vlan.some((id) => ids.includes(id));
  return isCounted && hasTag ? edited(options, { [flower.type]: dropped }) : options;
}

const bpf = { program: 5, descriptor: 6 } as const;

/**
 * Kinds whose setup comes back the same, each tried by a round trip. One that is not here is
 * refused by its name.
 */
export const filterKinds: Readonly<Record<string, FilterKind>> = {
  u32: { actions: 7, police: 6, flags: 11, dropped: [9, 12], placed: 'by handle' },
  fw: { actions: 4, police: 2, placed: 'by handle' },
  route: { actions: 6, police: 5, link: 4, placed: 'by handle' },
  basic: { actions: 3, police: 4, dropped: [5, 6], conditions: 2, placed: 'first' },
  cgroup: { actions: 1, police: 2, conditions: 3, placed: 'last' },
  flow: { actions: 9, police: 10, conditions: 11, placed: 'last' },
  flower: { actions: 3, flags: 22, dropped: [86], placed: 'by handle', read: withOuterType },
  matchall: { actions: 2, flags: 3, dropped: [4, 5], placed: 'last' },
  bpf: {
    actions: 1,
    police: 2,
    flags: 9,
    dropped: [10, 11],
    placed: 'first',
    problem: (options) => {
      const ids = rawAttributes(options).map(({ id }) => id);
      return ids.includes(bpf.program) && !ids.includes(bpf.descriptor)
        ? undefined
        : 'it runs an eBPF program; take the program away, or load it again after the move';
    },
  },
};

/** TCA_CLS_FLAGS_IN_HW and TCA_CLS_FLAGS_NOT_IN_HW: told, and refused when given. */
export const toldFlags = 4 | 8;

const tree = { list: 2, headerBytes: 8, kindAt: 2 } as const;
/** TCF_EM_*: what names a set of ipset(8) by a number, or a match of iptables(8). */
const foreignMatches: Readonly<Record<number, string>> = { 8: 'an ipset', 9: 'an iptables match' };

/** Why conditions of a filter cannot be made again. */
export function conditionsProblem(kind: FilterKind, options: Buffer): string | undefined {
  if (kind.conditions === undefined) return undefined;
  const conditions = rawAttributes(options).find(({ id }) => id === kind.conditions);
  const list = rawAttributes(conditions?.payload ?? Buffer.alloc(0));
  const matches = rawAttributes(
    list.find(({ id }) => id === tree.list)?.payload ?? Buffer.alloc(0),
  );
  for (const { payload } of matches) {
    if (payload.length < tree.headerBytes) continue;
    const foreign = foreignMatches[payload.readUInt16LE(tree.kindAt)];
    if (foreign !== undefined) return `a condition of it is ${foreign}, whose number differs`;
  }
  return undefined;
}
