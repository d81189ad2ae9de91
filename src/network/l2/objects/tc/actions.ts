import type { NetlinkMessage } from '../../../../host/netlink.ts';
import { attributeBytes, findAttribute, nestedFlag } from '../../../netlink/attributes.ts';
import { type LinkNames, type Reading, uint32 } from '../../../netlink/codec.ts';
import type { NetlinkSpace } from '../../../netlink/space.ts';
import type { Request, Section } from '../../section.ts';
import { type Action, action, actionProblem, actionSchema } from './action.ts';
import { actionKinds, otherActionKinds, usersOf } from './action-kinds.ts';
import { bytesOfHex } from './message.ts';
import { rawAttributes } from './raw-attributes.ts';

const messages = { add: 48, remove: 49, get: 50 } as const;
/** NLM_F_CREATE and NLM_F_REPLACE: a filter may have made it first. */
const createFlags = 0x400 | 0x100;
/** struct tcamsg. */
const headerBytes = 4;
const attributesOf = { table: 1, flags: 2 } as const;
const inTable = { kind: 1, options: 2, index: 3 } as const;
/** TCA_ACT_FLAG_LARGE_DUMP_ON, as a value and as the mask that says which bits count. */
const largeDump = Buffer.from([1, 0, 0, 0, 1, 0, 0, 0]);

/**
 * Actions that somebody made by themselves (`tc actions add`): they stay when no filter uses them.
 * Those that came with a filter are the filter's.
 */
export const actions: Section<Action> = {
  name: 'tc',
  schema: actionSchema,
  read: readActions,
  add: (one, names) => [request(messages.add, createFlags, action.encode(one, names))],
  remove: (one, names) => [request(messages.remove, 0, nameOf(one, names))],
  describe: (one) => `action ${one.kind} index ${indexOf(one)}`,
  problem: actionProblem,
};

function readActions(space: NetlinkSpace, reading: Reading): Action[] {
  const kinds = [...Object.keys(actionKinds), ...otherActionKinds];
  const flags = attributeBytes(attributesOf.flags, largeDump);
  const requests = kinds.map((kind) => ({
    type: messages.get,
    body: Buffer.concat([tableBytes(kindBytes(kind)), flags]),
  }));
  return space
    .socket('route')
    .dumpEach(requests, (at) => `actions ${kinds[at]}`)
    .flat()
    .flatMap((message) => readTable(message, reading));
}

function readTable({ body }: NetlinkMessage, reading: Reading): Action[] {
  const table = findAttribute(body.subarray(headerBytes), attributesOf.table);
  return rawAttributes(table ?? Buffer.alloc(0)).flatMap(({ payload }) => {
    const options = findAttribute(payload, inTable.options) ?? Buffer.alloc(0);
    const one = action.decode(payload, reading);
    const { references, bindings } = usersOf(one.kind, options);
    return references > bindings ? [one] : [];
  });
}

/** The number by which the kernel knows an action: the first field of its parameters. */
function indexOf({ kind, options }: Action): number {
  const ids = actionKinds[kind]?.parameters ?? [];
  const parameters = rawAttributes(bytesOfHex(options)).find(({ id }) => ids.includes(id));
  return (parameters?.payload.length ?? 0) < 4 ? 0 : (parameters?.payload.readUInt32LE(0) ?? 0);
}

function nameOf(one: Action, names: LinkNames): Buffer {
  const index = attributeBytes(inTable.index, uint32.encode(indexOf(one), names));
  return Buffer.concat([kindBytes(one.kind), index]);
}

function kindBytes(kind: string): Buffer {
  return attributeBytes(inTable.kind, Buffer.from(`${kind}\0`));
}

function tableBytes(one: Buffer): Buffer {
  const table = attributeBytes(
    attributesOf.table | nestedFlag,
    attributeBytes(1 | nestedFlag, one),
  );
  return Buffer.concat([Buffer.alloc(headerBytes), table]);
}

function request(type: number, flags: number, one: Buffer): Request {
  return { type, flags, body: tableBytes(one) };
}
