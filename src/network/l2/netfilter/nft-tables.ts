import { MigrateError } from '../../../base/errors.ts';
import { run } from '../../../host/run.ts';
import { isOwnTable, readNftTables } from '../nft.ts';
import type { NftTable } from '../state.ts';
import { isCarried } from './iptables.ts';
import type { NftHead } from './nft-heads.ts';

/** nft(8) prints and reads `meta hour` in the time zone of its caller. */
const env = { TZ: 'UTC' };

/**
 * The tables that nft has to say, with the counters and remaining lives of this instant; the
 * program is started only if there is one. Numbers instead of names, because those of marks,
 * realms, groups and labels differ by host (/etc/iproute2, /etc/connlabel.conf). `heads` are the
 * tables of the namespace, `list` prints its ruleset as `listRuleset` does; `ignoreTables` are
 * names, or `FAMILY NAME`.
 * Throws PLAN_REFUSED for a table that belongs to a program, PROGRAM_FAILED.
 */
export async function readNft(
  heads: readonly NftHead[],
  list: () => Promise<string>,
  ignoreTables: readonly string[] = [],
): Promise<NftTable[]> {
  const isIgnored = (one: NftHead) =>
    isOwnTable(one.name) ||
    isCarried(one) ||
    [one.name, `${one.family} ${one.name}`].some((name) => ignoreTables.includes(name));
  const wanted = heads.filter((one) => !isIgnored(one));
  if (wanted.length === 0) return [];
  const owned = wanted.find((one) => one.isOwned);
  if (owned !== undefined) {
    throw new MigrateError(
      'PLAN_REFUSED',
      `nft table ${owned.family} ${owned.name} belongs to a program and goes with its socket`,
      { hint: 'Stop that program, or let it make the table without the flag "owner".' },
    );
  }
  const theirs = heads.filter(isCarried).map(({ family, name }) => `${family} ${name}`);
  return readNftTables(await list(), [...ignoreTables, ...theirs]);
}

/** All of the ruleset, by a program that is started for it. */
export async function listRuleset(path: string): Promise<string> {
  const args = [`--net=${path}`, 'nft', '-n', 'list', 'ruleset'];
  return (await run('nsenter', args, { env })).stdout;
}

/**
 * Of tables read in the frozen window those to be loaded again, in one transaction: all from the
 * first on that is no longer what was loaded ahead, be it by a counter; and the names of those that
 * are gone. What stands behind is loaded too, because a table that is put in place of its namesake
 * becomes the last one, and of chains with one hook and priority the order decides
 * (nf_tables_newtable of nf_tables_api.c, nf_hook_entries_grow of core.c).
 */
export function changedNft(
  loaded: readonly NftTable[],
  now: readonly NftTable[],
): { readonly load: readonly NftTable[]; readonly remove: readonly string[] } {
  const nameOf = ({ family, name }: NftTable) => `${family} ${name}`;
  const names = new Set(now.map(nameOf));
  const [kept, gone] = [true, false].map((isThere) =>
    loaded.filter((table) => names.has(nameOf(table)) === isThere),
  ) as [NftTable[], NftTable[]];
  const isSame = (one: NftTable, other: NftTable | undefined) =>
    other !== undefined && nameOf(one) === nameOf(other) && one.text === other.text;
  const first = now.findIndex((table, index) => !isSame(table, kept[index]));
  return { load: first < 0 ? [] : now.slice(first), remove: gone.map(nameOf) };
}
