import { z } from 'zod';
import { MigrateError, tidyText } from '../../../base/errors.ts';

export const iptablesTableNames = ['filter', 'nat', 'mangle', 'raw', 'security'] as const;

/** Lines of a table that are still a firewall and no attack. */
const linesMax = 100_000;
const lineCharsMax = 4_096;

/**
 * A table as iptables-save(8) with `-c` prints it, from the line after `*TABLE` to the one before
 * `COMMIT`: chains with policies, rules with counters.
 */
export const iptablesTableSchema = z.strictObject({
  /** Which of the kernel's two ways holds it. */
  backend: z.enum(['legacy', 'nft']),
  family: z.union([z.literal(4), z.literal(6)]),
  table: z.enum(iptablesTableNames),
  lines: z.array(z.string().max(lineCharsMax)).max(linesMax),
});
export type IptablesTable = z.infer<typeof iptablesTableSchema>;

const chainName = '[A-Za-z0-9_.:@+/=<>~][A-Za-z0-9_.:@+/=<>~-]{0,28}';
const wholeChainName = new RegExp(`^${chainName}$`);
const chainLine = new RegExp(
  `^:${chainName} (?:ACCEPT|DROP|QUEUE|RETURN|-) \\[\\d{1,20}:\\d{1,20}\\]$`,
);
const ruleHead = new RegExp(`^(?:\\[\\d{1,20}:\\d{1,20}\\] )?-A ${chainName}(?: |$)`);
/** What stands between spaces: bare, or quoted with backslashes before what must not end it. */
const word = /(?:"((?:[^"\\]|\\.)*)"|([^\s"\\]+))(?: |$)/y;
/** Options that a rule may have in one letter, as iptables-save writes them. */
const shortOptions = new Set(['-p', '-s', '-d', '-i', '-o', '-f', '-m', '-j', '-g']);
/** Options whose next word is text of a person, and may look like anything. */
const textOptions = new Set([
  '--comment',
  '--log-prefix',
  '--nflog-prefix',
  '--ulog-prefix',
  '--string',
  '--hex-string',
]);
/** `--modprobe PROGRAM` runs a program; getopt_long(3) takes each of its beginnings for it. */
const modprobe = /^--m(?:o(?:d(?:p(?:r(?:o(?:be?)?)?)?)?)?)?(?:=|$)/;
const extensionName = /^[A-Za-z0-9_+][A-Za-z0-9_+-]{0,28}$/;
const addressWord = /^[0-9a-f.:]+(?:\/[0-9a-f.:]+)?$/;

/**
 * Judges the lines of a table before they reach iptables-restore(8), which takes more than rules:
 * a name to look up, a program to run. Throws `code` with the line that is none of iptables-save.
 */
export function checkIptablesTable(
  { backend, table, lines }: IptablesTable,
  code: 'BUNDLE_UNSAFE' | 'PLAN_REFUSED',
): void {
  const wrong = lines.find((line) => !chainLine.test(line) && !isRule(line));
  if (wrong === undefined) return;
  const what = `iptables table ${table} (${backend}): "${tidyText(wrong)}"`;
  throw new MigrateError(code, `${what} is no rule that can be carried`, {
    hint: 'Write the rule in nft, or remove it.',
  });
}

function isRule(line: string): boolean {
  const head = ruleHead.exec(line)?.[0];
  if (head === undefined) return false;
  const words = wordsOf(line.slice(head.length));
  if (words === undefined) return false;
  let isText = false;
  return words.every((one, index) => {
    const before = words[index - 1] ?? '';
    // Behind an option that takes a word, one of these would itself be that word.
    const opensText = !isText && textOptions.has(one) && !before.startsWith('-');
    const isSafe = isText || opensText || isPlain(one, before);
    isText = opensText;
    return isSafe;
  });
}

function isPlain(one: string, before: string): boolean {
  if (before === '-s' || before === '-d') return addressWord.test(one);
  if (before === '-m' || before === '-p') return extensionName.test(one);
  if (before === '-j' || before === '-g') return wholeChainName.test(one);
  if (textOptions.has(one) || modprobe.test(one) || one === '--') return false;
  return !/^-[^-]/.test(one) || shortOptions.has(one) || /^-\d+$/.test(one);
}

/** The words as iptables-restore takes them apart; undefined when it would do so otherwise. */
function wordsOf(text: string): string[] | undefined {
  const found: string[] = [];
  word.lastIndex = 0;
  while (word.lastIndex < text.length) {
    const match = word.exec(text);
    if (match === null) return undefined;
    found.push(match[1]?.replace(/\\(.)/g, '$1') ?? match[2] ?? '');
  }
  // Newlines, tabs and zero bytes stand in no line of iptables-save.
  return /[\p{Cc}]/u.test(text) ? undefined : found;
}

/** Takes apart what `iptables-save -c` printed; tables that are not wanted are left out. */
export function splitSaved(
  text: string,
  own: Pick<IptablesTable, 'backend' | 'family'>,
  wanted: readonly string[],
): IptablesTable[] {
  const found: IptablesTable[] = [];
  let open: IptablesTable | undefined;
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) {
      const table = iptablesTableNames.find((name) => name === line.slice(1));
      open = table === undefined ? undefined : { ...own, table, lines: [] };
      if (open !== undefined && wanted.includes(open.table)) found.push(open);
    } else if (line === 'COMMIT') open = undefined;
    else if (line !== '' && !line.startsWith('#')) open?.lines.push(line);
  }
  return found;
}

/** A line without what packets count. */
export function withoutCounters(line: string): string {
  return line.replace(/^\[\d+:\d+\] /, '').replace(/ \[\d+:\d+\]$/, '');
}
