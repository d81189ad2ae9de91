import fc from 'fast-check';
import { deviceRules } from './devices.ts';
import { diceOf } from './dice.ts';
import { newDraft, type Rule } from './draft.ts';
import { entryRules } from './entries.ts';
import { gatheringRules } from './gatherings.ts';
import { routingRules } from './routing.ts';
import { tunnelRules } from './tunnels.ts';

/** One thing of a namespace: which, and the numbers that decide how it is. */
export interface Piece {
  readonly what: string;
  readonly dice: readonly number[];
}

/** A namespace as data: what it is made of, in this order. */
export type Plan = readonly Piece[];

const linkRules: Readonly<Record<string, Rule>> = {
  ...deviceRules,
  ...tunnelRules,
  ...gatheringRules,
};
const objectRules: Readonly<Record<string, Rule>> = {
  ...routingRules,
  ...entryRules,
  duplicateDetection: () => undefined,
};

export const linkKinds = Object.keys(linkRules);

/** Makes one appear more often where others need it. */
const linkWeights: Readonly<Record<string, number>> = {
  veth: 5,
  dummy: 3,
  bridge: 5,
  vlan: 3,
  bond: 2,
  vrf: 2,
};
const objectWeights: Readonly<Record<string, number>> = {
  address4: 6,
  address6: 5,
  route4: 3,
  route6: 3,
  sysctl: 2,
};

const diceMax = 10_000;
const dicePerPiece = 32;
const limits = { links: 9, addresses: 6, objects: 18 } as const;

/** It takes seconds to find no other host with the same address, and for ever without a carrier. */
const withoutSearch = ['all', 'default'].map(
  (of) => `echo 0 >/proc/sys/net/ipv6/conf/${of}/accept_dad`,
);

/** Random namespaces of all that the grammar has. */
export function plans(): fc.Arbitrary<Plan> {
  const links = fc.array(pieces(linkRules, linkWeights), { maxLength: limits.links, size: 'max' });
  const addresses = fc.array(
    pieces(
      { address4: objectRules['address4'] as Rule, address6: objectRules['address6'] as Rule },
      {},
    ),
    { maxLength: limits.addresses, size: 'max' },
  );
  const objects = fc.array(pieces(objectRules, objectWeights), {
    maxLength: limits.objects,
    size: 'max',
  });
  return fc.tuple(links, addresses, objects).map((parts) => parts.flat());
}

function pieces(rules: Readonly<Record<string, Rule>>, weights: Readonly<Record<string, number>>) {
  const options = Object.keys(rules).map((what) => ({
    weight: weights[what] ?? 1,
    arbitrary: fc.constant(what),
  }));
  const dice = fc.array(fc.nat(diceMax), { minLength: dicePerPiece, maxLength: dicePerPiece });
  return fc.record({ what: fc.oneof(...options), dice });
}

/**
 * The lines that make it, for a namespace that has `lo` and a veth end `eth0`, both up; what the
 * kernel lacks is left out.
 */
export function linesOf(plan: Plan, features: ReadonlySet<string>): string[] {
  const draft = newDraft(features);
  const searches = plan.some(({ what }) => what === 'duplicateDetection');
  if (!searches) draft.lines.push(...withoutSearch);
  for (const { what, dice } of plan) {
    const rule = linkRules[what] ?? objectRules[what];
    if (rule === undefined) throw new Error(`no rule of the grammar is called ${what}`);
    if (what in linkRules && !features.has(what)) continue;
    rule(draft, diceOf(dice));
  }
  return [...inFewStarts(draft.lines), ...draft.lastLines];
}

const programs = ['ip', 'bridge', 'tc', 'nft', 'echo'];

/** What objects are made by, one program after the other, once all devices are there. */
function inFewStarts(lines: readonly string[]): string[] {
  const placeOf = (line: string) => {
    const program = line.split(' ')[0] ?? '';
    return isOfLinks(line) ? -1 : programs.indexOf(program);
  };
  return [...lines].sort((one, other) => placeOf(one) - placeOf(other));
}

function isOfLinks(line: string): boolean {
  return /^(ip (link|tuntap)|printf) |\/accept_dad$/.test(line);
}

/** The kinds of devices of the grammar that a kernel lacks. */
export function lacksOf(features: ReadonlySet<string>): string[] {
  return linkKinds.filter((kind) => !features.has(kind));
}
