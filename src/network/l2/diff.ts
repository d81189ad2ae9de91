import { withoutSecrets } from './kinds/secrets.ts';
import { differingKeys } from './make-links.ts';
import { diffIptables } from './netfilter/iptables.ts';
import { tableLines, tableOutline } from './nft.ts';
import type { Link } from './objects/link.ts';
import { planSection } from './section.ts';
import { type SectionName, sectionNames, sectionOf, volatileSections } from './sections.ts';
import type { NetworkState, NftTable } from './state.ts';
import { isInherited } from './sysctls.ts';

/**
 * Every difference between two documents, a line for a person each; none when they are equal.
 * Not compared: warnings, outside ends, what traffic counts and changes (counters of nft and
 * iptables, expiries, connections), and sysctls that a namespace inherits where one side is silent.
 */
export function diffNetwork(wanted: NetworkState, found: NetworkState): string[] {
  return [
    ...diffLinks(wanted.links, found.links),
    ...sectionNames
      .filter((name) => !volatileSections.includes(name))
      .flatMap((name) => diffSection(name, wanted, found)),
    ...diffTables(wanted, found),
    ...diffIptables(wanted.iptables, found.iptables),
    ...diffSysctls(wanted.sysctls, found.sysctls),
  ];
}

/** What is not as wanted, of one list; where only the order differs, what stands wrong. */
function diffSection(name: SectionName, wanted: NetworkState, found: NetworkState): string[] {
  const section = sectionOf(name);
  const { remove, add } = planSection(section, wanted[name], found[name]);
  const say = (one: unknown) => `${section.name} ${section.describe(one)}`;
  const lines = [
    ...without(add.map(say), remove.map(say)).map((text) => `${text}: missing`),
    ...without(remove.map(say), add.map(say)).map((text) => `${text}: not wanted, but there`),
  ];
  if (lines.length > 0 || add.length === 0) return lines;
  return [`${say(add[0])}: differs, or stands in another order`];
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

function diffLink(want: Link, have: Link): string[] {
  return differingKeys(want, have).map(
    (key) => `link ${want.name}: ${key} ${say(want[key])} wanted, ${say(have[key])} found`,
  );
}

function say(value: unknown): string {
  return value === undefined ? 'none' : JSON.stringify(withoutSecrets(value));
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
    const oneIsSilent = wanted[key] === undefined || found[key] === undefined;
    if (wanted[key] === found[key] || (oneIsSilent && isInherited(key))) return [];
    const [want, have] = [wanted, found].map((all) => withoutSecrets({ [key]: all[key] })[key]);
    if (have === undefined) return [`sysctl ${key}: ${want} wanted, a new namespace's found`];
    return [`sysctl ${key}: ${want ?? "a new namespace's"} wanted, ${have} found`];
  });
}
