import { tableLines, tableOutline } from './nft.ts';
import { byTable, routeText } from './routes.ts';
import { ruleText } from './rules.ts';
import type { Address, Link, NetworkState, NftTable } from './state.ts';
import { isInherited } from './sysctls.ts';

/**
 * Every difference between two documents, a line for a person each; none when they are equal.
 * Not compared: warnings, what traffic counts (nft counters, expiries), a device's number where
 * `wanted` does not say it, and sysctls that a namespace inherits where one side is silent.
 */
export function diffNetwork(wanted: NetworkState, found: NetworkState): string[] {
  return [
    ...diffLinks(wanted.links, found.links),
    ...diffLists('address', addressNames(wanted.addresses), addressNames(found.addresses)),
    ...diffLists('route', routeNames(wanted), routeNames(found)),
    ...diffLists('rule', wanted.rules.map(nameOfRule), found.rules.map(nameOfRule)),
    ...diffLists('removed rule', wanted.removedRules.map(plain), found.removedRules.map(plain)),
    ...diffLists(
      'neighbour',
      wanted.neighbours.map(plain).sort(),
      found.neighbours.map(plain).sort(),
    ),
    ...diffTables(wanted, found),
    ...diffSysctls(wanted.sysctls, found.sysctls),
  ];
}

function diffLinks(wanted: readonly Link[], found: readonly Link[]): string[] {
  const names = [...new Set([...wanted, ...found].map((link) => link.name))];
  return names.flatMap((name) => {
    const want = wanted.find((link) => link.name === name);
    const have = found.find((link) => link.name === name);
    if (want === undefined) return [`link ${name}: not wanted, but there`];
    if (have === undefined) return [`link ${name}: missing`];
    return diffLink(want, have);
  });
}

/** What a hand-made document may leave open, as `freshState` does, is not compared. */
const openLinkKeys: readonly (keyof Link)[] = ['index', 'mac', 'addrGenMode'];

function diffLink(want: Link, have: Link): string[] {
  const keys = [...new Set([...Object.keys(want), ...Object.keys(have)])] as (keyof Link)[];
  return keys
    .filter((key) => want[key] !== have[key])
    .filter((key) => want[key] !== undefined || !openLinkKeys.includes(key))
    .map((key) => `link ${want.name}: ${key} ${say(want[key])} wanted, ${say(have[key])} found`);
}

function say(value: unknown): string {
  return value === undefined ? 'none' : String(value);
}

/** Both ways as multisets, then the order, which decides sources, priorities and matches. */
function diffLists(kind: string, wanted: readonly string[], found: readonly string[]): string[] {
  const missing = without(wanted, found).map((name) => `${kind} ${name}: missing`);
  const extra = without(found, wanted).map((name) => `${kind} ${name}: not wanted, but there`);
  if (missing.length + extra.length > 0) return [...missing, ...extra];
  const at = wanted.findIndex((name, index) => name !== found[index]);
  return at < 0 ? [] : [`${kind} ${wanted[at]}: comes after ${found[at]}, not before it`];
}

function without(all: readonly string[], others: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const name of others) counts.set(name, (counts.get(name) ?? 0) + 1);
  return all.filter((name) => {
    const left = counts.get(name) ?? 0;
    counts.set(name, left - 1);
    return left <= 0;
  });
}

/** Their order means something within one device and family only. */
function addressNames(addresses: readonly Address[]): string[] {
  const groupOf = ({ link, family }: Address) => `${link} ${family}`;
  return [...addresses]
    .sort((a, b) => (groupOf(a) === groupOf(b) ? 0 : groupOf(a) < groupOf(b) ? -1 : 1))
    .map(addressName);
}

function addressName(address: Address): string {
  const { link, address: text, prefixLength, family: _, ...rest } = address;
  const details = Object.entries(rest).map(([name, value]) => `, ${name} ${value}`);
  return `${text}/${prefixLength} on ${link}${details.sort().join('')}`;
}

function routeNames({ routes }: NetworkState): string[] {
  return byTable(routes).map((route) => `${routeText(route)} (IPv${route.family})`);
}

function nameOfRule(rule: NetworkState['rules'][number]): string {
  return `${ruleText(rule)} (IPv${rule.family})`;
}

function plain(value: object): string {
  return Object.entries(value)
    .map(([name, one]) => `${name} ${one}`)
    .sort()
    .join(', ');
}

/** Line by line, or by outline when two versions of nft printed them. */
function diffTables(wanted: NetworkState, found: NetworkState): string[] {
  const names = wanted.nft.map(tableName);
  const listed = diffLists('nft table', names, found.nft.map(tableName));
  if (listed.length > 0) return listed;
  const comparable = wanted.nftVersion === found.nftVersion || wanted.nftVersion === undefined;
  const partsOf = (table?: NftTable) =>
    comparable ? tableLines(table?.text ?? '') : tableOutline(table?.text ?? '');
  return wanted.nft.flatMap((table, index) =>
    diffLists(`nft table ${names[index]}:`, partsOf(table), partsOf(found.nft[index])),
  );
}

function tableName(table: NftTable): string {
  return `${table.family} ${table.name}`;
}

function diffSysctls(wanted: NetworkState['sysctls'], found: NetworkState['sysctls']): string[] {
  const keys = [...new Set([...Object.keys(wanted), ...Object.keys(found)])].sort();
  return keys.flatMap((key) => {
    const [want, have] = [wanted[key], found[key]];
    const oneIsSilent = want === undefined || have === undefined;
    if (want === have || (oneIsSilent && isInherited(key))) return [];
    if (have === undefined) return [`sysctl ${key}: ${want} wanted, a new namespace's found`];
    return [`sysctl ${key}: ${want ?? "a new namespace's"} wanted, ${have} found`];
  });
}
