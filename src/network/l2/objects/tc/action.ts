import { z } from 'zod';
import {
  attribute,
  attributeBytes,
  attributeSet,
  nestedFlag,
} from '../../../netlink/attributes.ts';
import {
  bytesOf,
  type Codec,
  type LinkNames,
  linkNameSchema,
  nameOfLink,
  type Reading,
  text,
} from '../../../netlink/codec.ts';
import { compact } from '../../compact.ts';
import { l2Limits } from '../../limits.ts';
import { actionKinds, actionOptions } from './action-kinds.ts';
import { bytesOfHex, kindSchema, optionBytes } from './message.ts';
import { edited, rawAttributes, written } from './raw-attributes.ts';

/** TC_COOKIE_MAX_SIZE, and struct nla_bitfield32. */
const cookie = bytesOf(16);
const bits = bytesOf(8);

const plainSchema = z.strictObject({
  kind: kindSchema,
  /** As the kernel takes them; the first number is the action's own, by which filters share it. */
  options: optionBytes.schema,
  /** The device that `mirred` sends to; its number in the options is zero. */
  link: linkNameSchema.optional(),
  /** What whoever made it keeps there. */
  cookie: cookie.schema.optional(),
  flags: bits.schema.optional(),
  hardwareStatistics: bits.schema.optional(),
});
export type Action = z.infer<typeof plainSchema>;
export const actionSchema = plainSchema.refine(
  (one) => actionProblem(one) === undefined,
  'an action that nothing makes',
);

const attributes = attributeSet(
  'action',
  {
    kind: attribute(1, text(kindSchema)),
    options: attribute(2, optionBytes),
    cookie: attribute(6, cookie),
    flags: attribute(7, bits),
    hardwareStatistics: attribute(8, bits),
  },
  // The number again, statistics, padding, what hardware does.
  [3, 4, 5, 9, 10],
);
const optionsAttribute = 2;

/** One action, as the kernel printed it or as it takes it. */
export const action: Codec<Action> = {
  schema: actionSchema,
  isNest: true,
  decode: (bytes, reading) => readAction(bytes, reading),
  encode(one, names) {
    const { kind, cookie: own, flags, hardwareStatistics } = one;
    const rest = attributes.encode({ kind, cookie: own, flags, hardwareStatistics }, names);
    const options = attributeBytes(optionsAttribute | nestedFlag, givenOptions(one, names));
    return Buffer.concat([rest, options]);
  },
};

/** A list of actions, in their order: the numbers of the attributes count from 1. */
export const actionList: Codec<Action[]> = {
  schema: z.array(actionSchema).max(l2Limits.tcActionsMax),
  isNest: true,
  decode: (bytes, reading) =>
    rawAttributes(bytes).map(({ payload }) => readAction(payload, reading)),
  encode: (list, names) =>
    Buffer.concat(
      list.map((one, at) => attributeBytes((at + 1) | nestedFlag, action.encode(one, names))),
    ),
};

/** Why an action cannot be made again. */
export function actionProblem({ kind, options, link }: Action): string | undefined {
  const known = actionKinds[kind];
  const why =
    known === undefined
      ? 'this version does not know how to make one again'
      : known.problem?.(bytesOfHex(options), link);
  return why === undefined ? undefined : `its action ${kind}: ${why}`;
}

function readAction(bytes: Buffer, reading: Reading): Action {
  const { kind = '', options, ...rest } = attributes.decode(bytes, reading);
  const raw = actionOptions(kind, bytesOfHex(options));
  const { linkAt, parameters = [] } = actionKinds[kind] ?? {};
  const place = rawAttributes(raw).find(({ id }) => id === parameters[0])?.payload;
  if (linkAt === undefined || place === undefined || place.length < linkAt + 4) {
    return compact({ kind, options: raw.toString('hex'), ...rest });
  }
  const index = place.readUInt32LE(linkAt);
  const link = index === 0 ? undefined : nameOfLink(index, reading.names);
  const stripped = withLink(raw, kind, 0);
  return compact({ kind, options: stripped.toString('hex'), link, ...rest });
}

function givenOptions({ kind, options, link }: Action, names: LinkNames): Buffer {
  const known = actionKinds[kind];
  const bytes = bytesOfHex(options);
  const placed = link === undefined ? bytes : withLink(bytes, kind, names.indexOf(link));
  return known?.give?.(placed) ?? placed;
}

function withLink(options: Buffer, kind: string, index: number): Buffer {
  const { linkAt, parameters = [] } = actionKinds[kind] ?? {};
  const id = parameters[0];
  if (linkAt === undefined || id === undefined) return options;
  return edited(options, {
    [id]: (payload) => written(payload, linkAt + 4, (copy) => copy.writeUInt32LE(index, linkAt)),
  });
}
