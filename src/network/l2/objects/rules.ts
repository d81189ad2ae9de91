import { z } from 'zod';
import { attribute, attributeSet } from '../../netlink/attributes.ts';
import {
  address,
  type Codec,
  type LinkNames,
  linkNameSchema,
  netUint32,
  netUint64Hex,
  type Reading,
  text,
  uint8,
  uint8Schema,
  uint16,
  uint16Schema,
  uint32,
  uint32Schema,
} from '../../netlink/codec.ts';
import type { NetlinkSpace } from '../../netlink/space.ts';
import { compact } from '../compact.ts';
import type { Request, Section } from '../section.ts';
import { familyNumber, familySchema, prefixParts, prefixSchema } from './prefixes.ts';

/** FR_ACT_* of include/uapi/linux/fib_rules.h. */
const actions = [
  'unspecified',
  'table',
  'goto',
  'nop',
  'reserved-4',
  'reserved-5',
  'blackhole',
  'unreachable',
  'prohibit',
] as const;

const portRange = z.tuple([uint16Schema, uint16Schema]);
const idRange = z.tuple([uint32Schema, uint32Schema]);

const ports: Codec<[number, number]> = {
  schema: portRange,
  decode: (bytes) => [bytes.readUInt16LE(0), bytes.readUInt16LE(2)],
  encode([first, last]) {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt16LE(first, 0);
    bytes.writeUInt16LE(last, 2);
    return bytes;
  },
};

const ids: Codec<[number, number]> = {
  schema: idRange,
  decode: (bytes) => [bytes.readUInt32LE(0), bytes.readUInt32LE(4)],
  encode([first, last]) {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32LE(first, 0);
    bytes.writeUInt32LE(last, 4);
    return bytes;
  },
};

const selectors = {
  iif: attribute(3, text(linkNameSchema)),
  goto: attribute(4, uint32),
  priority: attribute(6, uint32),
  mark: attribute(10, uint32),
  realms: attribute(11, uint32),
  tunnelId: attribute(12, netUint64Hex),
  suppressGroup: attribute(13, uint32),
  suppressPrefixLength: attribute(14, uint32),
  table: attribute(15, uint32),
  markMask: attribute(16, uint32),
  oif: attribute(17, text(linkNameSchema)),
  l3mdev: attribute(19, uint8),
  uids: attribute(20, ids),
  protocol: attribute(21, uint8),
  ipProtocol: attribute(22, uint8),
  sourcePorts: attribute(23, ports),
  destinationPorts: attribute(24, ports),
  dscp: attribute(25, uint8),
  /** Of IPv6, since Linux 6.14; masks of ports and DSCP since 6.15. */
  flowLabel: attribute(26, netUint32),
  flowLabelMask: attribute(27, netUint32),
  sourcePortMask: attribute(28, uint16),
  destinationPortMask: attribute(29, uint16),
  dscpMask: attribute(30, uint8),
};

const attributes = attributeSet(
  'rule',
  { dst: attribute(1, address), src: attribute(2, address), ...selectors },
  [18],
);

export const ruleSchema = z.strictObject({
  family: familySchema,
  action: z.enum(actions),
  priority: uint32Schema,
  not: z.literal(true).optional(),
  from: prefixSchema.optional(),
  to: prefixSchema.optional(),
  tos: uint8Schema.optional(),
  iif: linkNameSchema.optional(),
  oif: linkNameSchema.optional(),
  goto: uint32Schema.optional(),
  mark: uint32Schema.optional(),
  markMask: uint32Schema.optional(),
  realms: uint32Schema.optional(),
  tunnelId: netUint64Hex.schema.optional(),
  suppressGroup: uint32Schema.optional(),
  suppressPrefixLength: uint32Schema.optional(),
  table: uint32Schema,
  l3mdev: uint8Schema.optional(),
  uids: idRange.optional(),
  protocol: uint8Schema.optional(),
  ipProtocol: uint8Schema.optional(),
  sourcePorts: portRange.optional(),
  destinationPorts: portRange.optional(),
  dscp: uint8Schema.optional(),
  flowLabel: uint32Schema.optional(),
  flowLabelMask: uint32Schema.optional(),
  sourcePortMask: uint16Schema.optional(),
  destinationPortMask: uint16Schema.optional(),
  dscpMask: uint8Schema.optional(),
});
export type Rule = z.infer<typeof ruleSchema>;

const messages = { add: 32, remove: 33, get: 34 } as const;
/** NLM_F_CREATE: two rules that are the same but for nothing are refused only with EXCL. */
const createFlags = 0x400;
const headerBytes = 12;
const invertBit = 2;
const none = 0xffff_ffff;
/** Kernels that know masks say these where none was set. */
const wholePort = 0xffff;
const wholeDscp = 0x3f;

/** Rules in order, the three that each namespace begins with included: they can be gone. */
export const rules: Section<Rule> = {
  name: 'rule',
  schema: ruleSchema,
  read: (space, reading) => [...readFamily(4, space, reading), ...readFamily(6, space, reading)],
  add: (rule, names) => [request(messages.add, createFlags, rule, names)],
  remove: (rule, names) => [request(messages.remove, 0, rule, names)],
  describe: describeRule,
  order: { groupOf: ({ family, priority }) => `${family} ${priority}`, placed: 'last' },
};

function describeRule({ priority, from, to, iif, oif, mark, action, table }: Rule): string {
  return [
    `${priority}: from ${from ?? 'all'}`,
    ...(to === undefined ? [] : [`to ${to}`]),
    ...(mark === undefined ? [] : [`fwmark ${mark}`]),
    ...(iif === undefined ? [] : [`iif ${iif}`]),
    ...(oif === undefined ? [] : [`oif ${oif}`]),
    action === 'table' ? `lookup ${table}` : action,
  ].join(' ');
}

function readFamily(family: 4 | 6, space: NetlinkSpace, reading: Reading): Rule[] {
  const body = Buffer.alloc(headerBytes);
  body.writeUInt8(familyNumber(family), 0);
  const found = space.socket('route').dump({ type: messages.get, body }, 'rules');
  return found.map((message) => readRule(family, message.body, reading));
}

function readRule(family: 4 | 6, bytes: Buffer, reading: Reading): Rule {
  const [, dstLength = 0, srcLength = 0, tos = 0, table = 0, , , action = 0] = bytes;
  const isInverted = (bytes.readUInt32LE(8) & invertBit) !== 0;
  const raw = attributes.decode(bytes.subarray(headerBytes), reading);
  const { dst, src, suppressPrefixLength, suppressGroup, ...rest } = raw;
  return compact({
    ...rest,
    family,
    action: actions[action] ?? 'unspecified',
    priority: raw.priority ?? 0,
    not: isInverted ? (true as const) : undefined,
    from: srcLength === 0 ? undefined : `${src}/${srcLength}`,
    to: dstLength === 0 ? undefined : `${dst}/${dstLength}`,
    tos: tos === 0 ? undefined : tos,
    suppressPrefixLength: suppressPrefixLength === none ? undefined : suppressPrefixLength,
    suppressGroup: suppressGroup === none ? undefined : suppressGroup,
    table: raw.table ?? table,
    protocol: raw.protocol === 0 ? undefined : raw.protocol,
    sourcePortMask: raw.sourcePortMask === wholePort ? undefined : raw.sourcePortMask,
    destinationPortMask:
      raw.destinationPortMask === wholePort ? undefined : raw.destinationPortMask,
    dscpMask: raw.dscpMask === wholeDscp ? undefined : raw.dscpMask,
  });
}

function request(type: number, flags: number, rule: Rule, names: LinkNames): Request {
  const { family, action, not, from, to, tos, ...rest } = rule;
  const [dst, dstLength] = to === undefined ? [undefined, 0] : prefixParts(to);
  const [src, srcLength] = from === undefined ? [undefined, 0] : prefixParts(from);
  const header = Buffer.alloc(headerBytes);
  header.set([familyNumber(family), dstLength, srcLength, tos ?? 0]);
  header.writeUInt8(actions.indexOf(action), 7);
  header.writeUInt32LE(not === true ? invertBit : 0, 8);
  const body = attributes.encode({ dst, src, ...rest }, names);
  return { type, flags, body: Buffer.concat([header, body]) };
}
