import { z } from 'zod';
import { MigrateError } from '../../base/errors.ts';
import { l2Limits } from './limits.ts';
import { type IptablesTable, iptablesTableSchema } from './netfilter/iptables-text.ts';
import { type NetnsFile, netnsFilesSchema } from './netfilter/netns-files.ts';
import { type Link, linkSchema } from './objects/link.ts';
import { outsideEndSchema } from './outside.ts';
import { type SectionLists, sectionNames, sections } from './sections.ts';

/** One table as `nft list ruleset` prints it, counters and set elements included. */
export const nftTableSchema = z.strictObject({
  family: z.enum(['ip', 'ip6', 'inet', 'arp', 'bridge', 'netdev']),
  name: z.string().regex(/^[A-Za-z0-9_./-]{1,255}$/),
  text: z.string().max(l2Limits.nftTableCharsMax),
});
export type NftTable = z.infer<typeof nftTableSchema>;

/** A path below /proc/sys, with slashes because a device name may hold dots (sysctl(8)). */
const sysctlKey = z
  .string()
  .regex(/^net(\/[A-Za-z0-9_@+.-]+)+$/)
  .refine((key) => !key.split('/').some((part) => /^\.+$/.test(part)), 'leaves /proc/sys/net');

const sysctlValue = z
  .string()
  .max(l2Limits.sysctlCharsMax)
  .regex(/^[^\n\0]*$/);

const lists = Object.fromEntries(
  sectionNames.map((name) => [
    name,
    z.array(sections[name].schema as z.ZodType).max(l2Limits.objectsMax),
  ]),
);

const networkStateSchema = z.strictObject({
  version: z.literal(2),
  links: z.array(linkSchema).max(l2Limits.linksMax),
  /** Where devices hang whose parent or other end is the host's; never compared. */
  ends: z.array(outsideEndSchema).max(l2Limits.linksMax),
  ...lists,
  /** Of /etc/netns/NAME, for a namespace that `ip netns add` made. */
  files: netnsFilesSchema,
  /** Of the program that printed `nft`. */
  nftVersion: z.string().max(40).optional(),
  nft: z.array(nftTableSchema).max(l2Limits.nftTablesMax),
  iptables: z.array(iptablesTableSchema).max(l2Limits.iptablesTablesMax),
  sysctls: z
    .record(sysctlKey, sysctlValue)
    .refine((all) => Object.keys(all).length <= l2Limits.sysctlsMax, 'too many sysctls'),
  /** What was seen and is not in the document; never compared. */
  warnings: z.array(z.string().max(1_000)).max(l2Limits.warningsMax),
});

/** The network identity of a job that has a network namespace of its own, as a document. */
export type NetworkState = SectionLists & {
  readonly version: 2;
  readonly links: readonly Link[];
  readonly ends: readonly z.infer<typeof outsideEndSchema>[];
  readonly files: readonly NetnsFile[];
  readonly nftVersion?: string | undefined;
  readonly nft: readonly NftTable[];
  readonly iptables: readonly IptablesTable[];
  readonly sysctls: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
};

/** Checks a document; throws `code` with the first thing that is wrong in it. */
export function parseNetworkState(
  value: unknown,
  code: 'BUNDLE_UNSAFE' | 'PLAN_REFUSED' | 'USAGE' = 'BUNDLE_UNSAFE',
): NetworkState {
  const parsed = networkStateSchema.safeParse(value);
  if (parsed.success) return parsed.data as unknown as NetworkState;
  const issue = parsed.error.issues[0];
  const where = issue?.path.join('.') || 'document';
  throw new MigrateError(code, `network state, ${where}: ${issue?.message ?? 'wrong'}`);
}
