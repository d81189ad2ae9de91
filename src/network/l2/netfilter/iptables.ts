import { MigrateError } from '../../../base/errors.ts';
import { readFilesIn } from '../../../host/netns.ts';
import { run } from '../../../host/run.ts';
import type { NetlinkSpace } from '../../netlink/space.ts';
import {
  checkIptablesTable,
  type IptablesTable,
  iptablesTableNames,
  splitSaved,
  withoutCounters,
} from './iptables-text.ts';
import { type NftHead, readNftHeads } from './nft-heads.ts';

/** Tables that one program of iptables saves and restores. */
export interface IptablesGroup {
  readonly backend: IptablesTable['backend'];
  readonly family: IptablesTable['family'];
  readonly tables: readonly string[];
}

/** Reading one of these loads no module and makes no table (net/netfilter/x_tables.c). */
const nameFiles = {
  4: '/proc/thread-self/net/ip_tables_names',
  6: '/proc/thread-self/net/ip6_tables_names',
} as const;
const arpNameFile = '/proc/thread-self/net/arp_tables_names';
/** How long restoring waits for another iptables on the host: one lock is for all of it. */
const lockWaitS = 5;

/**
 * Which tables of iptables a namespace has, in either of the kernel's ways; costs no program.
 * `heads` are its nft tables, if they are known. Throws PLAN_REFUSED for what cannot be carried.
 */
export function findIptables(
  space: NetlinkSpace,
  heads: readonly NftHead[] = readNftHeads(space),
): IptablesGroup[] {
  const arp = namesIn(space, arpNameFile);
  if (arp.length > 0) throw refused(`arptables table ${arp[0]} (legacy)`);
  const foreign = heads.find((one) => one.isIptables && !isCarried(one));
  if (foreign !== undefined) {
    throw refused(`nft table ${foreign.family} ${foreign.name}, with extensions of iptables,`);
  }
  const groups = ([4, 6] as const).flatMap((family): IptablesGroup[] => [
    { backend: 'legacy', family, tables: namesIn(space, nameFiles[family]) },
    {
      backend: 'nft',
      family,
      tables: heads
        .filter((one) => one.isIptables && one.family === (family === 4 ? 'ip' : 'ip6'))
        .map(({ name }) => name),
    },
  ]);
  return groups.filter(({ tables }) => tables.length > 0);
}

/** Whether a table of nft is iptables' to save, and not nft's. */
export function isCarried({ family, name, isIptables }: NftHead): boolean {
  const isKnown = (iptablesTableNames as readonly string[]).includes(name);
  return isIptables && isKnown && (family === 'ip' || family === 'ip6');
}

/** Saves the tables with their counters. Throws PLAN_REFUSED by name, PROGRAM_FAILED. */
export async function readIptables(
  { path }: Pick<NetlinkSpace, 'path'>,
  groups: readonly IptablesGroup[],
): Promise<IptablesTable[]> {
  const saved = await Promise.all(
    groups.map(async (group) => {
      const { stdout } = await run('nsenter', [`--net=${path}`, programOf(group, 'save'), '-c']);
      return splitSaved(stdout, { backend: group.backend, family: group.family }, group.tables);
    }),
  );
  const tables = saved.flat().sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  for (const { backend, family, tables: names } of groups) {
    const missing = names.find((name) => !tables.some((one) => is(one, backend, family, name)));
    if (missing !== undefined) {
      throw refused(`iptables table ${missing} (${backend}), which holds rules of nft too,`);
    }
  }
  for (const table of tables) checkIptablesTable(table, 'PLAN_REFUSED');
  return tables;
}

/**
 * Puts tables in place of what the namespace has of that name, each in one transaction; sets that
 * rules name must be there. Throws BUNDLE_UNSAFE before anything runs, PROGRAM_FAILED.
 */
export async function loadIptables(
  { path }: Pick<NetlinkSpace, 'path'>,
  tables: readonly IptablesTable[],
): Promise<void> {
  for (const table of tables) checkIptablesTable(table, 'BUNDLE_UNSAFE');
  for (const group of groupsOf(tables)) {
    const own = tables.filter(
      (one) => one.backend === group.backend && one.family === group.family,
    );
    const input = own.map(({ table, lines }) => [`*${table}`, ...lines, 'COMMIT', ''].join('\n'));
    const program = programOf(group, 'restore');
    const args = [`--net=${path}`, program, '--counters', '--wait', String(lockWaitS)];
    await run('nsenter', args, { input: input.join('') });
  }
}

/** Programs that this host needs for such tables and lacks, a line for each. */
export async function iptablesProblems(tables: readonly IptablesTable[]): Promise<string[]> {
  const problems = groupsOf(tables).map(async (group) => {
    const program = programOf(group, 'restore');
    const { exitCode } = await run('sh', ['-c', 'command -v "$1"', 'sh', program], {
      okCodes: [0, 1, 127],
    });
    if (exitCode === 0) return [];
    return [`iptables tables (${group.backend}) need ${program}, which is not installed here`];
  });
  return (await Promise.all(problems)).flat();
}

/** Every difference but counters, a line each. */
export function diffIptables(
  wanted: readonly IptablesTable[],
  found: readonly IptablesTable[],
): string[] {
  const keyed = (all: readonly IptablesTable[]) => new Map(all.map((one) => [nameOf(one), one]));
  const [want, have] = [keyed(wanted), keyed(found)];
  return [...new Set([...want.keys(), ...have.keys()])].flatMap((name) => {
    const [lines, others] = [want, have].map((all) => all.get(name)?.lines.map(withoutCounters));
    if (lines === undefined) return [`${name}: not wanted, but there`];
    if (others === undefined) return [`${name}: missing`];
    const at = lines.findIndex((line, index) => line !== others[index]);
    if (at < 0 && lines.length === others.length) return [];
    return [`${name}: "${lines[at] ?? 'nothing more'}" wanted, "${others[at] ?? 'nothing'}" found`];
  });
}

function nameOf({ backend, family, table }: IptablesTable): string {
  return `iptables table ${table} (${backend}, IPv${family})`;
}

function is(one: IptablesTable, backend: string, family: number, table: string): boolean {
  return one.backend === backend && one.family === family && one.table === table;
}

function groupsOf(tables: readonly IptablesTable[]): IptablesGroup[] {
  const groups = (['legacy', 'nft'] as const).flatMap((backend) =>
    ([4, 6] as const).map((family) => {
      const own = tables.filter((one) => one.backend === backend && one.family === family);
      return { backend, family, tables: own.map(({ table }) => table) };
    }),
  );
  return groups.filter((group) => group.tables.length > 0);
}

function programOf({ backend, family }: IptablesGroup, verb: 'save' | 'restore'): string {
  return `ip${family === 6 ? '6' : ''}tables-${backend}-${verb}`;
}

function namesIn(space: NetlinkSpace, file: string): string[] {
  const text = readFilesIn(space.path, [file])[0] ?? '';
  return text.split('\n').filter((line) => line !== '');
}

function refused(what: string): MigrateError {
  return new MigrateError('PLAN_REFUSED', `${what} cannot be carried`, {
    hint: 'Write its rules in nft, or remove the table.',
  });
}
