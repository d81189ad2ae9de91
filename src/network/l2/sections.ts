import { connections } from './netfilter/conntrack.ts';
import { expectations } from './netfilter/expectations.ts';
import { ipSetElements, ipSets } from './netfilter/ip-sets.ts';
import { addresses } from './objects/addresses.ts';
import { bridgeTrees } from './objects/bridge-trees.ts';
import { bridgeVlanOptions } from './objects/bridge-vlan-options.ts';
import { bridgeVlans } from './objects/bridge-vlans.ts';
import { fdbEntries } from './objects/fdb.ts';
import { linkGroups } from './objects/link-groups.ts';
import { multicastGroups } from './objects/multicast-groups.ts';
import { neighbours } from './objects/neighbours.ts';
import { nexthops } from './objects/nexthops.ts';
import { peerNamespaces } from './objects/peer-namespaces.ts';
import { routes } from './objects/routes.ts';
import { rules } from './objects/rules.ts';
import { actions } from './objects/tc/actions.ts';
import { filters } from './objects/tc/filters.ts';
import { queues } from './objects/tc/queues.ts';
import type { Section } from './section.ts';

/**
 * The parts of a document that are lists of objects, in the order in which they are made: each may
 * need what stands before it.
 */
export const sections = {
  peerNamespaces,
  ipSets,
  ipSetElements,
  bridgeVlans,
  bridgeVlanOptions,
  bridgeTrees,
  linkGroups,
  addresses,
  nexthops,
  fdbEntries,
  multicastGroups,
  neighbours,
  routes,
  rules,
  filterActions: actions,
  queues,
  filters,
  connections,
  expectations,
} as const;

export type SectionName = keyof typeof sections;

type ItemOf<S> = S extends Section<infer T> ? T : never;
export type SectionLists = { [N in SectionName]: ItemOf<(typeof sections)[N]>[] };

export const sectionNames = Object.keys(sections) as SectionName[];

/** What has to be there before anything else: rules of iptables name sets. */
export const earlySections = ['peerNamespaces', 'ipSets', 'ipSetElements'] as const;

/** What traffic and time change: it arrives, and is no difference between two documents. */
export const volatileSections: readonly SectionName[] = ['connections', 'expectations'];

/** The section of that name, of whatever objects. */
export function sectionOf(name: SectionName): Section<unknown> {
  return sections[name] as unknown as Section<unknown>;
}
