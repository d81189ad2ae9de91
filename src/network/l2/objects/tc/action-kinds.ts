import { attributeBytes } from '../../../netlink/attributes.ts';
import { dropped, type Edit, edited, rawAttributes, written } from './raw-attributes.ts';

/** How the options of an action come from the kernel and go back to it (net/sched/act_*.c). */
export interface ActionKind {
  /** Attributes whose struct begins with a number, a verdict and counts of users (tc_gen). */
  readonly parameters: readonly number[];
  /** Attributes that tell the times of use, counters, padding. */
  readonly dropped: readonly number[];
  /** Where the parameters have the number of a device. */
  readonly linkAt?: number;
  readonly give?: (options: Buffer) => Buffer;
  readonly problem?: (options: Buffer, link: string | undefined) => string | undefined;
}

/** Where struct tc_gen has the counts of references and of bindings. */
const users = { at: 12, bytes: 8 } as const;
/** Where struct tc_police has them, and a field without a use behind them. */
const policeUsers = { at: 44, bytes: 12 } as const;

/** struct tc_police, its two struct tc_ratespec, and the attributes of their tables. */
const policeRates = [
  { at: 20, table: 2 },
  { at: 32, table: 3 },
] as const;
const police = { struct: 1, structBytes: 56, average: 4 } as const;
const rateSpec = { cellLog: 0, rate: 8 } as const;
const rateTableBytes = 1024;
/** Any that is not zero: the kernel no longer looks rates up by cells. */
const someCellLog = 3;

/**
 * Police wants a table for each rate, of which the kernel has used no more since 3.8 than that it
 * is there and, for a link layer that is not known, its steps (net/sched/sch_api.c).
 */
export function withRateTables(options: Buffer): Buffer {
  const tables: Buffer[] = [];
  const mended = edited(options, {
    [police.struct]: (payload) =>
      written(payload, police.structBytes, (copy) => {
        for (const { at, table } of policeRates) {
          if (copy.readUInt32LE(at + rateSpec.rate) === 0) continue;
          copy.writeUInt8(someCellLog, at + rateSpec.cellLog);
          tables.push(attributeBytes(table, Buffer.alloc(rateTableBytes)));
        }
      }),
  });
  return Buffer.concat([mended, ...tables]);
}

function has(options: Buffer, wanted: number): boolean {
  return rawAttributes(options).some(({ id }) => id === wanted);
}

export function policeProblem(options: Buffer): string | undefined {
  if (!has(options, police.average)) return undefined;
  return 'the kernel does not tell over what time its average rate is measured';
}

const bpf = { program: 4, descriptor: 5 } as const;

/**
 * Actions whose setup comes back the same, each tried by a round trip. One that is not here is
 * refused by its name.
 */
export const actionKinds: Readonly<Record<string, ActionKind>> = {
  gact: { parameters: [2], dropped: [1, 4] },
  mirred: {
    parameters: [2],
    dropped: [1, 3],
    linkAt: 24,
    problem: (options, link) =>
      link === undefined && !has(options, 4) ? 'the device that it sends to is gone' : undefined,
  },
  pedit: { parameters: [2, 4], dropped: [1, 3] },
  nat: { parameters: [1], dropped: [2, 3] },
  skbedit: { parameters: [2], dropped: [1, 6] },
  vlan: { parameters: [2], dropped: [1, 5] },
  bpf: {
    parameters: [2],
    dropped: [1, 7, 8, 9],
    problem: (options) =>
      has(options, bpf.program) && !has(options, bpf.descriptor)
        ? undefined
        : 'it runs an eBPF program; take the program away, or load it again after the move',
  },
  connmark: { parameters: [1], dropped: [2, 3] },
  csum: { parameters: [1], dropped: [2, 3] },
  ct: { parameters: [1], dropped: [2, 15] },
  ctinfo: { parameters: [3], dropped: [1, 2, 8, 9, 10] },
  simple: { parameters: [2], dropped: [1, 4] },
  mpls: { parameters: [2], dropped: [1, 3] },
  sample: { parameters: [2], dropped: [1, 6] },
  skbmod: { parameters: [2], dropped: [1, 6] },
  tunnel_key: { parameters: [2], dropped: [1, 8] },
  police: { parameters: [1], dropped: [6, 7], give: withRateTables, problem: policeProblem },
};

/** Known so that they can be named; nothing makes them again. */
export const otherActionKinds = ['ife', 'gate'] as const;

/** Options without what changes by itself; of an unknown kind, as they are. */
export function actionOptions(kind: string, options: Buffer): Buffer {
  const known = actionKinds[kind];
  if (known === undefined) return options;
  const edits: Record<number, Edit> = {};
  for (const id of known.dropped) edits[id] = dropped;
  const { at, bytes } = kind === 'police' ? policeUsers : users;
  for (const id of known.parameters) {
    edits[id] = (payload) => written(payload, at + bytes, (copy) => copy.fill(0, at, at + bytes));
  }
  return edited(options, edits);
}

/** Counts of users of an action, as the kernel printed them. */
export function usersOf(kind: string, options: Buffer): { references: number; bindings: number } {
  const known = actionKinds[kind];
  const parameters = rawAttributes(options).find(({ id }) => known?.parameters.includes(id));
  const at = kind === 'police' ? policeUsers.at : users.at;
  if (parameters === undefined || parameters.payload.length < at + 8) {
    return { references: 1, bindings: 0 };
  }
  const { payload } = parameters;
  return { references: payload.readInt32LE(at), bindings: payload.readInt32LE(at + 4) };
}
