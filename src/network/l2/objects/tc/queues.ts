import { z } from 'zod';
import {
  attribute,
  attributeBytes,
  attributeSet,
  nested,
  nestedFlag,
} from '../../../netlink/attributes.ts';
import {
  type LinkNames,
  linkNameSchema,
  nameOfLink,
  type Reading,
  text,
  uint32,
} from '../../../netlink/codec.ts';
import type { NetlinkSpace } from '../../../netlink/space.ts';
import { compact } from '../../compact.ts';
import type { Request, Section, SectionPlan } from '../../section.ts';
import {
  blockSchema,
  bytesOfHex,
  emptyHeader,
  handleNumber,
  handleSchema,
  handleText,
  isOwnLink,
  kindSchema,
  majorOf,
  optionBytes,
  readHeader,
  tcHeader,
  tcHeaderBytes,
} from './message.ts';
import { type QueueKind, queueKinds, queueProblem } from './queue-kinds.ts';
import { sizeSpec, sizeTableData, sizeTableSchema } from './size-table.ts';

const shared = {
  link: linkNameSchema,
  kind: kindSchema,
  handle: handleSchema,
  parent: handleSchema,
  /** As the kernel takes them: numbers in the machine's order, times, rates (tc(8)). */
  options: optionBytes.schema.optional(),
};

const plainSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('qdisc'),
    ...shared,
    sizeTable: sizeTableSchema.optional(),
    /** Blocks of filters that several devices share (tc(8), FILTER BLOCKS). */
    ingressBlock: blockSchema.optional(),
    egressBlock: blockSchema.optional(),
  }),
  z.strictObject({ type: z.literal('class'), ...shared }),
]);
export type Queue = z.infer<typeof plainSchema>;
const queueSchema = plainSchema.refine(
  (one) => problemOf(one) === undefined,
  'a qdisc or class that nothing makes',
);
export type Qdisc = Extract<Queue, { type: 'qdisc' }>;

const sizeTable = attributeSet('qdisc size table', { base: attribute(1, sizeSpec) }, [2]);

/** Statistics are ignored, and whether hardware does the work, which is not of a namespace. */
const ignored = [3, 4, 6, 7, 9, 12];
const attributes = attributeSet(
  'qdisc',
  {
    kind: attribute(1, text(kindSchema)),
    options: attribute(2, optionBytes),
    sizeTable: attribute(8, nested(sizeTable)),
    ingressBlock: attribute(13, uint32),
    egressBlock: attribute(14, uint32),
  },
  ignored,
);

const messages = {
  qdisc: { add: 36, remove: 37, get: 38 },
  class: { add: 40, remove: 41, get: 42 },
} as const;
/** NLM_F_CREATE and NLM_F_REPLACE: a class that others stand on is changed in its place. */
const createFlags = 0x400 | 0x100;
const optionsAttribute = 2;
const sizeTableAttribute = 8;
const sizeDataAttribute = 2;
/** More than any tree has: a bound. */
const depthMax = 64;

/**
 * Qdiscs and classes that somebody made, in an order in which they can be made. What a device gets
 * by itself has the handle 0 (noqueue; what net.core.default_qdisc names, below mq also) and is not
 * one of them: on each host it is what all other devices have there.
 */
export const queues: Section<Queue> = {
  name: 'tc',
  schema: queueSchema,
  read: readQueues,
  add: (one, names) => [addRequest(one, names)],
  remove: (one, names) => [removeRequest(one, names)],
  widened: withWholeTrees,
  describe: ({ type, link, kind, handle, parent }) =>
    `${type} ${kind} ${handle} dev ${link} ${parent === 'root' ? '' : 'parent '}${parent}`,
  // Kernels before 6.5 do not tell the seed of netem's random numbers.
  compared: (one) => ({
    ...one,
    options: queueKinds[one.kind]?.compared?.(bytesOfHex(one.options)) ?? one.options,
  }),
  problem: problemOf,
  warning: (one) => queueKinds[one.kind]?.warning?.(bytesOfHex(one.options)),
};

/**
 * A class that a filter leads to cannot be taken away, nor moved below another: where one has to
 * go, all of its device goes. One that is only different is changed in its place.
 */
function withWholeTrees(plan: SectionPlan<Queue>, found: readonly Queue[]): SectionPlan<Queue> {
  const placeOf = ({ link, handle, parent }: Queue) => `${link} ${handle} ${parent}`;
  const made = new Set(plan.add.map(placeOf));
  const gone = plan.remove.filter((one) => one.type === 'class' && !made.has(placeOf(one)));
  const links = new Set(gone.map(({ link }) => link));
  const roots = found.filter((one) => links.has(one.link) && one.parent === 'root');
  return {
    remove: [
      ...roots.filter(({ type }) => type === 'qdisc'),
      ...plan.remove.filter(({ link }) => !links.has(link)),
    ],
    add: plan.add.filter(({ link }) => !links.has(link)),
  };
}

/** A class is of the kind of its qdisc, whose problem is told once. */
function problemOf({ type, kind, options }: Queue): string | undefined {
  return type === 'class' ? undefined : queueProblem(kind, bytesOfHex(options));
}

/** All qdiscs of the namespace that somebody made, in the kernel's order. */
export function readQdiscs(space: NetlinkSpace, reading: Reading): Qdisc[] {
  const request = { type: messages.qdisc.get, body: emptyHeader() };
  return space
    .socket('route')
    .dump(request, 'qdiscs')
    .flatMap(({ body }) => readQdisc(body, reading) ?? []);
}

/** The classes of a qdisc; none where its kind makes them by itself. */
export function readClasses(qdisc: Qdisc, space: NetlinkSpace, reading: Reading): Queue[] {
  const kind = queueKinds[qdisc.kind]?.classes;
  if (kind === undefined) return [];
  const body = tcHeader({ link: qdisc.link, parent: handleNumber(qdisc.handle) }, reading.names);
  const found = space.socket('route').dump({ type: messages.class.get, body }, 'classes');
  return found.flatMap((message): Queue[] => {
    const { handle, parent } = readHeader(message.body);
    // The class that hfsc itself is.
    if ((handle & 0xffff) === 0) return [];
    const raw = attributes.decode(message.body.subarray(tcHeaderBytes), reading);
    const common = { type: 'class' as const, link: qdisc.link, kind: raw.kind ?? '' };
    const options = readOptions(raw.options, kind.read);
    const place = { handle: handleText(handle), parent: handleText(parent) };
    return [compact({ ...common, ...place, options })];
  });
}

function readQueues(space: NetlinkSpace, reading: Reading): Queue[] {
  const qdiscs = readQdiscs(space, reading);
  const all = qdiscs.flatMap((one) => [one, ...readClasses(one, space, reading)]);
  const byPlace = new Map(all.map((one) => [`${one.link} ${one.handle}`, one]));
  const depth = (one: Queue, below = 0): number => {
    const { link, handle, parent, type } = one;
    const own = type === 'class' ? byPlace.get(`${link} ${majorOf(handle)}`) : undefined;
    const above =
      byPlace.get(`${link} ${parent}`) ?? own ?? byPlace.get(`${link} ${majorOf(parent)}`);
    return above === undefined || above === one || below > depthMax
      ? below
      : depth(above, below + 1);
  };
  return all
    .map((one) => ({ one, key: [depth(one), handleNumber(one.handle)] as const }))
    .sort((a, b) => a.key[0] - b.key[0] || a.key[1] - b.key[1])
    .map(({ one }) => one);
}

function readQdisc(bytes: Buffer, reading: Reading): Qdisc | undefined {
  const { index, handle, parent } = readHeader(bytes);
  const link = nameOfLink(index, reading.names);
  if (handle === 0 || isOwnLink(link)) return undefined;
  const raw = attributes.decode(bytes.subarray(tcHeaderBytes), reading);
  const kind = raw.kind ?? '';
  return compact({
    type: 'qdisc',
    link,
    kind,
    handle: handleText(handle),
    parent: handleText(parent),
    options: readOptions(raw.options, queueKinds[kind]?.read),
    sizeTable: raw.sizeTable?.base,
    ingressBlock: raw.ingressBlock,
    egressBlock: raw.egressBlock,
  });
}

function readOptions(options: string | undefined, read: QueueKind['read']): string | undefined {
  const mended = read === undefined ? options : read(bytesOfHex(options)).toString('hex');
  return mended === '' ? undefined : mended;
}

function addRequest(one: Queue, names: LinkNames): Request {
  const { link, kind, handle, parent } = one;
  const place = { link, handle: handleNumber(handle), parent: handleNumber(parent) };
  const { ingressBlock, egressBlock } = one.type === 'qdisc' ? one : {};
  const parts = [
    tcHeader(place, names),
    attributes.encode({ kind, ingressBlock, egressBlock }, names),
    ...optionParts(one),
    ...sizeTableParts(one, names),
  ];
  const body = Buffer.concat(parts);
  return { type: messages[one.type].add, flags: createFlags, body };
}

function optionParts({ type, kind, options }: Queue): Buffer[] {
  if (options === undefined) return [];
  const known = queueKinds[kind];
  const bytes = bytesOfHex(options);
  const given = type === 'qdisc' ? (known?.give?.(bytes) ?? bytes) : bytes;
  const isNest = type === 'class' || known?.isStruct === undefined;
  return [attributeBytes(isNest ? optionsAttribute | nestedFlag : optionsAttribute, given)];
}

function sizeTableParts(one: Queue, names: LinkNames): Buffer[] {
  if (one.type !== 'qdisc' || one.sizeTable === undefined) return [];
  const data = sizeTableData(one.sizeTable);
  const nest = Buffer.concat([
    sizeTable.encode({ base: one.sizeTable }, names),
    ...(data === undefined ? [] : [attributeBytes(sizeDataAttribute, data)]),
  ]);
  return [attributeBytes(sizeTableAttribute | nestedFlag, nest)];
}

function removeRequest({ type, link, handle, parent }: Queue, names: LinkNames): Request {
  const place = { link, handle: handleNumber(handle), parent: handleNumber(parent) };
  return { type: messages[type].remove, body: tcHeader(place, names) };
}
