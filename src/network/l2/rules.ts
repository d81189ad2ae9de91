import { z } from 'zod';
import { MigrateError } from '../../base/errors.ts';
import { compact, flag } from './compact.ts';
import { type NetworkState, type Rule, ruleActions } from './state.ts';

const port = z.number().optional();

/** One element of `ip -j -d -N rule show`; strict, because a rule less one selector is another. */
const ruleJson = z.strictObject({
  priority: z.number(),
  not: z.null().optional(),
  src: z.string(),
  srclen: z.number().optional(),
  dst: z.string().optional(),
  dstlen: z.number().optional(),
  tos: z.string().optional(),
  fwmark: z.string().optional(),
  fwmask: z.string().optional(),
  iif: z.string().optional(),
  oif: z.string().optional(),
  iif_detached: z.null().optional(),
  oif_detached: z.null().optional(),
  ipproto: z.string().optional(),
  sport: port,
  sport_start: port,
  sport_end: port,
  sport_mask: z.literal('0xffff').optional(),
  dport: port,
  dport_start: port,
  dport_end: port,
  dport_mask: z.literal('0xffff').optional(),
  uid_start: z.number().optional(),
  uid_end: z.number().optional(),
  table: z.coerce.number().optional(),
  goto: z.number().optional(),
  unresolved: z.null().optional(),
  action: z.string().optional(),
  nop: z.null().optional(),
  suppress_prefixlen: z.number().optional(),
  protocol: z.coerce.number(),
});

type RuleJson = z.infer<typeof ruleJson>;
export type RemovedRule = NetworkState['removedRules'][number];

/** The rules of a new namespace (fib_default_rules_init in net/ipv4 and net/ipv6). */
const defaultRules: readonly RemovedRule[] = [
  { family: 4, priority: 0, table: 255 },
  { family: 4, priority: 32_766, table: 254 },
  { family: 4, priority: 32_767, table: 253 },
  { family: 6, priority: 0, table: 255 },
  { family: 6, priority: 32_766, table: 254 },
];

/** FR_ACT_* of include/uapi/linux/fib_rules.h, as `ip -N` prints them. */
const actions: Readonly<Record<string, Rule['action']>> = {
  '3': 'nop',
  '6': 'blackhole',
  '7': 'unreachable',
  '8': 'prohibit',
};

/**
 * Reads `ip -j -d -N rule show` of one family, in order; equal priorities keep theirs.
 * Throws PLAN_REFUSED for a rule with a selector or action which this document cannot say.
 */
export function readRules(
  json: unknown,
  family: 4 | 6,
): { rules: Rule[]; removedRules: RemovedRule[] } {
  const all = z
    .array(z.looseObject({}))
    .parse(json)
    .map((item) => readRule(item, family));
  const found = new Set<RemovedRule>();
  const rules = all.filter((rule) => {
    const standard = defaultRules.find((one) => !found.has(one) && isDefault(rule, one));
    if (standard !== undefined) found.add(standard);
    return standard === undefined;
  });
  const removedRules = defaultRules.filter((one) => one.family === family && !found.has(one));
  return { rules, removedRules };
}

export function ruleLine(rule: Rule): string {
  return `rule add ${ruleText(rule)}`;
}

export function removedRuleLine(rule: RemovedRule): string {
  return `rule del priority ${rule.priority} table ${rule.table}`;
}

/** A rule as ip-rule(8) reads it. */
export function ruleText(rule: Rule): string {
  const { mark, sourcePorts, destinationPorts, uids } = rule;
  const optional: readonly (readonly [string, string | number | undefined])[] = [
    ['to', rule.to],
    ['tos', rule.tos],
    ['fwmark', mark && (mark.mask === undefined ? mark.value : `${mark.value}/${mark.mask}`)],
    ['iif', rule.iif],
    ['oif', rule.oif],
    ['ipproto', rule.ipProtocol],
    ['sport', sourcePorts?.join('-')],
    ['dport', destinationPorts?.join('-')],
    ['uidrange', uids?.join('-')],
    ['table', rule.table],
    ['suppress_prefixlength', rule.suppressPrefixLength],
    ['goto', rule.goto],
  ];
  return [
    ...(rule.not ? ['not'] : []),
    `from ${rule.from ?? 'all'} priority ${rule.priority} protocol ${rule.protocol}`,
    ...optional.flatMap(([name, value]) => (value === undefined ? [] : [`${name} ${value}`])),
    ...(rule.action === undefined ? [] : [rule.action]),
  ].join(' ');
}

function readRule(item: Record<string, unknown>, family: 4 | 6): Rule {
  const parsed = ruleJson.safeParse(item);
  if (!parsed.success) refuse(item, parsed.error.issues[0]?.message ?? 'unknown form');
  const raw = parsed.data;
  return compact({
    family,
    priority: raw.priority,
    not: flag(raw.not),
    from: selector(raw.src, raw.srclen),
    to: selector(raw.dst, raw.dstlen),
    tos: raw.tos,
    mark: raw.fwmark === undefined ? undefined : readMark(raw),
    iif: raw.iif,
    oif: raw.oif,
    ipProtocol: raw.ipproto === undefined ? undefined : Number(raw.ipproto.replace('ipproto-', '')),
    sourcePorts: range(raw.sport_start ?? raw.sport, raw.sport_end ?? raw.sport),
    destinationPorts: range(raw.dport_start ?? raw.dport, raw.dport_end ?? raw.dport),
    uids: range(raw.uid_start, raw.uid_end),
    table: raw.table,
    goto: raw.goto,
    action: raw.nop === null ? ('nop' as const) : readAction(raw, item),
    suppressPrefixLength: raw.suppress_prefixlen,
    protocol: raw.protocol,
  });
}

function readMark(raw: RuleJson): Rule['mark'] {
  return compact({ value: raw.fwmark ?? '0x0', mask: raw.fwmask });
}

function readAction(raw: RuleJson, item: Record<string, unknown>): Rule['action'] {
  if (raw.action === undefined) return undefined;
  const action = actions[raw.action] ?? ruleActions.find((one) => one === raw.action);
  return action ?? refuse(item, `action ${raw.action} is not known`);
}

function selector(address: string | undefined, length: number | undefined): string | undefined {
  if (address === undefined || address === 'all') return undefined;
  return length === undefined ? address : `${address}/${length}`;
}

function range(first: number | undefined, last: number | undefined): [number, number] | undefined {
  return first === undefined || last === undefined ? undefined : [first, last];
}

function isDefault(rule: Rule, standard: RemovedRule): boolean {
  const { family, priority, table, protocol: _, ...selectors } = rule;
  return (
    Object.keys(selectors).length === 0 &&
    family === standard.family &&
    priority === standard.priority &&
    table === standard.table
  );
}

function refuse(item: Record<string, unknown>, why: string): never {
  throw new MigrateError('PLAN_REFUSED', `rule ${String(item.priority)}: ${why}`, {
    hint: 'Remove the rule, or express it without what is named here.',
  });
}
