import { z } from 'zod';
import { MigrateError } from '../../base/errors.ts';
import { compact } from './compact.ts';
import { type Link, linkNamePattern, linkSchema } from './state.ts';

/** One element of `ip -j -d -N link show`. */
const linkJson = z.looseObject({
  ifindex: z.number(),
  ifname: z.string(),
  flags: z.array(z.string()),
  mtu: z.number(),
  qdisc: z.string().optional(),
  txqlen: z.number().optional(),
  address: z.string().optional(),
  group: z.coerce.number().optional(),
  ifalias: z.string().optional(),
  altnames: z.array(z.string()).optional(),
  inet6_addr_gen_mode: z.string().optional(),
  linkinfo: z.looseObject({ info_kind: z.string().optional() }).optional(),
});

type LinkJson = z.infer<typeof linkJson>;

/** Devices of every new namespace of some kernels (net.core.fb_tunnels_only_for_init_net). */
const fallbackNames = new Set([
  'tunl0',
  'sit0',
  'gre0',
  'gretap0',
  'erspan0',
  'ip_vti0',
  'ip6_vti0',
  'ip6tnl0',
  'ip6gre0',
]);

/** The devices that hold a job's packets back (room `switchover`) begin with this. */
const ownPrefix = 'mgh';

export interface LinksRead {
  readonly links: Link[];
  /** Devices that are seen and left out on purpose: nothing that hangs on them is taken either. */
  readonly ignored: ReadonlySet<string>;
  readonly warnings: string[];
}

/**
 * Reads the output of `ip -j -d -N link show`.
 * Throws PLAN_REFUSED for a device that cannot be made again elsewhere.
 */
export function readLinks(json: unknown, ignoreLinks: readonly string[]): LinksRead {
  const links: Link[] = [];
  const ignored = new Set<string>();
  const warnings: string[] = [];
  for (const link of z.array(linkJson).parse(json)) {
    if (isIgnored(link, ignoreLinks)) {
      ignored.add(link.ifname);
      continue;
    }
    links.push(readLink(link, warnings));
  }
  return { links, ignored, warnings };
}

/** The lines of `ip -batch` that give a device its attributes and leave it down, lo excepted. */
export function linkAttributeLines(link: Link): string[] {
  const dev = `link set dev ${link.name}`;
  const values = [
    ...(link.mac === undefined ? [] : [`address ${link.mac}`]),
    `mtu ${link.mtu} txqueuelen ${link.txQueueLength} group ${link.group}`,
    ...(link.alias === undefined ? [] : [`alias "${link.alias}"`]),
  ];
  return [...(link.kind === 'lo' ? [] : [`${dev} down`]), `${dev} ${values.join(' ')}`];
}

/**
 * Every device goes up once, because what the kernel gives it then must be known: no link-local
 * address of its own making, which it would first check for duplicates.
 */
export function linkUpLines(link: Link): string[] {
  const dev = `link set dev ${link.name}`;
  return [...(ownsGenMode(link) ? [`${dev} addrgenmode none`] : []), `${dev} up`];
}

export function linkDownLines(link: Link): string[] {
  return link.up ? [] : [`link set dev ${link.name} down`];
}

/** Lets the kernel make link-local addresses again, after ours are there. */
export function genModeLines(link: Link): string[] {
  if (!ownsGenMode(link) || link.addrGenMode === 'none') return [];
  return [`link set dev ${link.name} addrgenmode ${link.addrGenMode}`];
}

function ownsGenMode(link: Link): boolean {
  return link.addrGenMode !== undefined && link.kind !== 'lo';
}

function isIgnored(link: LinkJson, ignoreLinks: readonly string[]): boolean {
  const down = !link.flags.includes('UP');
  return (
    link.ifname.startsWith(ownPrefix) ||
    ignoreLinks.includes(link.ifname) ||
    (down && fallbackNames.has(link.ifname))
  );
}

function readLink(link: LinkJson, warnings: string[]): Link {
  const kind = kindOf(link);
  if (!linkNamePattern.test(link.ifname)) {
    refuse(`device ${link.ifname}: its name holds a character that ip -batch cannot carry`);
  }
  const alias = linkSchema.shape.alias.safeParse(link.ifalias);
  if (!alias.success) warnings.push(`link ${link.ifname}: alias is not carried, its characters`);
  for (const missing of notCarried(link)) {
    warnings.push(`link ${link.ifname}: ${missing} not carried`);
  }
  const mode = linkSchema.shape.addrGenMode.safeParse(link.inet6_addr_gen_mode);
  return compact({
    name: link.ifname,
    kind,
    index: link.ifindex,
    mac: kind === 'lo' ? undefined : link.address,
    mtu: link.mtu,
    txQueueLength: link.txqlen ?? 0,
    up: link.flags.includes('UP'),
    group: link.group ?? 0,
    alias: alias.success ? alias.data : undefined,
    addrGenMode: mode.success ? mode.data : undefined,
  });
}

function kindOf(link: LinkJson): Link['kind'] {
  if (link.flags.includes('LOOPBACK')) return 'lo';
  const kind = link.linkinfo?.info_kind;
  if (kind === 'veth') return 'veth';
  return refuse(
    `device ${link.ifname} is ${kind === undefined ? 'a physical device' : `of kind ${kind}`}, ` +
      'which cannot be made again on another host',
  );
}

function refuse(message: string): never {
  throw new MigrateError('PLAN_REFUSED', message, {
    hint: 'Remove the device from the namespace, or move it out before the job moves.',
  });
}

/** What a device carries beyond the document, in words. */
function notCarried(link: LinkJson): string[] {
  const standard = ['noqueue', 'noop', undefined];
  return [
    ...(standard.includes(link.qdisc) ? [] : [`queueing discipline ${link.qdisc} is`]),
    ...(link.altnames === undefined ? [] : [`other names (${link.altnames.join(', ')}) are`]),
    ...(link.xdp === undefined ? [] : ['XDP program is']),
    ...(link.flags.includes('NOARP') ? ['"arp off" is'] : []),
    ...(link.flags.includes('PROMISC') ? ['"promisc on" is'] : []),
  ];
}
