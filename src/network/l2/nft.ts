import { MigrateError } from '../../base/errors.ts';
import { type NftTable, nftTableSchema } from './state.ts';

/** Tables of ours: locks and holds, named after a move, and the mute. No part of a job. */
const ownName = /^migrate-(?:[0-9a-f]{32}|mute)$/;

export function isOwnTable(name: string): boolean {
  return ownName.test(name);
}

/**
 * Splits what `nft list ruleset` printed into its tables. Text and not JSON, because it is what
 * `nft -f` is tested with most, and it says counters, quotas and the remaining life of elements.
 * `ignoreTables` are names, or `FAMILY NAME`.
 * Throws PLAN_REFUSED for a rule that only iptables could say.
 */
export function readNftTables(text: string, ignoreTables: readonly string[]): NftTable[] {
  const tables: NftTable[] = [];
  let open: string[] | undefined;
  for (const line of text.split('\n')) {
    if (line.startsWith('table ')) open = [];
    open?.push(line);
    if (line !== '}' || open === undefined) continue;
    const table = readTable(open);
    const { family, name } = table;
    open = undefined;
    if (isOwnTable(name)) continue;
    if (ignoreTables.includes(name) || ignoreTables.includes(`${family} ${name}`)) continue;
    refuseForeign(table);
    tables.push(table);
  }
  return tables;
}

/** The lines of `nft -f` that put each table in place of its namesake, in one transaction. */
export function nftLines(tables: readonly NftTable[]): string[] {
  return tables.flatMap((table) => {
    checkTable(table);
    const id = `${table.family} ${table.name}`;
    return [`table ${id}`, `delete table ${id}`, ...table.text.split('\n')];
  });
}

/** The lines of a table without what traffic and time change: counters, quotas used, expiries. */
export function tableLines(text: string): string[] {
  return text
    .replace(/\bpackets \d+ bytes \d+/g, 'packets N bytes N')
    .replace(/ expires (\d+(ms|s|m|h|d))+/g, ' expires T')
    .replace(/ used \d+ (\w*bytes)/g, ' used N $1')
    .split('\n')
    .map((line) => line.trim());
}

/**
 * What every version of nft prints the same: the chains, sets, maps and other named objects of a
 * table, and how many lines a chain has.
 */
export function tableOutline(text: string): string[] {
  const objects: { head: string; lines: number }[] = [];
  for (const line of text.split('\n')) {
    if (/^\t\S.* \{$/.test(line)) objects.push({ head: line.slice(1, -2), lines: 0 });
    const last = objects.at(-1);
    // Elements of sets are wrapped differently; rules stand one on a line.
    if (last?.head.startsWith('chain ') && /^\t\t\S/.test(line)) last.lines++;
  }
  return objects.map(({ head, lines }) => (lines === 0 ? head : `${head} of ${lines} lines`));
}

function readTable(lines: readonly string[]): NftTable {
  const [, family, name] = lines[0]?.split(' ') ?? [];
  const parsed = nftTableSchema.safeParse({ family, name, text: lines.join('\n') });
  if (parsed.success) return parsed.data;
  throw new MigrateError('PLAN_REFUSED', `nft table ${family} ${name}: cannot be carried`, {
    hint: 'Give the table a plain name.',
  });
}

/** A document from outside may hold nothing but the one table that it names. */
function checkTable(table: NftTable): void {
  const lines = table.text.split('\n');
  const head = lines[0] === `table ${table.family} ${table.name} {`;
  const inner = lines.slice(1, -1);
  if (head && lines.length > 1 && lines.at(-1) === '}' && staysInside(inner)) return;
  throw new MigrateError('BUNDLE_UNSAFE', `nft table ${table.name}: holds more than a table`);
}

/**
 * Whether lines neither end the table that they stand in nor take in a file. nft ends a statement
 * at a semicolon too, so where on a line a word stands says nothing; in quotes all is text, up to
 * the next quote (nftables src/scanner.l), and an odd quote would make the rest of it some. A
 * comment ends at a newline alone, not where JavaScript thinks that lines end.
 */
function staysInside(lines: readonly string[]): boolean {
  let depth = 1;
  for (const line of lines) {
    if (/^\S/.test(line)) return false;
    const bare = line.replace(/"[^"]*"/g, '""').replace(/#.*$/s, '');
    if (
      /(?:^|[^\w"./-])include(?![\w./-])/.test(bare) ||
      (bare.match(/"/g) ?? []).length % 2 === 1
    ) {
      return false;
    }
    for (const sign of bare) {
      if (sign === '{') depth += 1;
      else if (sign === '}') depth -= 1;
      if (depth < 1) return false;
    }
  }
  return depth === 1;
}

function refuseForeign(table: NftTable): void {
  const line = table.text.split('\n').find((one) => /(^|\s)(# xt_|xt (match|target) ")/.test(one));
  if (line === undefined) return;
  throw new MigrateError(
    'PLAN_REFUSED',
    `nft table ${table.family} ${table.name}: "${line.trim()}" is an iptables extension`,
    { hint: 'Write the rule in nft, or remove it.' },
  );
}
