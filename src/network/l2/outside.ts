import { z } from 'zod';
import { linkNameSchema, type Reading, uint32Schema } from '../netlink/codec.ts';
import type { NetlinkSpace } from '../netlink/space.ts';
import { compact } from './compact.ts';
import { type BridgeVlan, bridgeVlans } from './objects/bridge-vlans.ts';
import { type FoundLink, readLinks } from './objects/link-read.ts';
import { vlanIdSchema } from './objects/vlan-ranges.ts';

/** A range of VLANs of a port, and what untagged frames have to do with it. */
const portVlanSchema = z
  .strictObject({
    first: vlanIdSchema,
    last: vlanIdSchema,
    pvid: z.literal(true).optional(),
    untagged: z.literal(true).optional(),
  })
  .refine(({ first, last }) => first <= last, 'a range of VLANs that ends before it begins');

/** Every second one of all there are. */
const portVlansMax = 2_048;

/** Where a device of the namespace hangs on its host: an outside end. */
export const outsideEndSchema = z.strictObject({
  /** The device inside. */
  link: linkNameSchema,
  /**
   * `bridge`: a port of it is the other end of a veth pair. `parent`: the device is on top of it.
   */
  on: z.enum(['bridge', 'parent']),
  /** The host's device. */
  device: linkNameSchema,
  /** Bytes, of the host's device. */
  mtu: uint32Schema,
  /** Where the bridge filters VLANs: those of the port. */
  vlans: z.array(portVlanSchema).max(portVlansMax).optional(),
});
export type OutsideEnd = z.infer<typeof outsideEndSchema>;

/** A device that hangs on nothing that another host could have. */
export interface LooseEnd {
  readonly link: string;
  readonly message: string;
  readonly hint: string;
}

/**
 * Finds where the devices of a namespace hang on the host's: by the number of the other device,
 * which for a veth end must point back.
 */
export function findOutsideEnds(
  links: readonly FoundLink[],
  host: NetlinkSpace,
): {
  readonly ends: OutsideEnd[];
  readonly loose: LooseEnd[];
  /** Devices whose MAC is the host's: see `inheritingLinks`. */
  readonly inheriting: ReadonlySet<string>;
} {
  const outer = links.filter(({ link }) => link.outside === true);
  const ends: OutsideEnd[] = [];
  const loose: LooseEnd[] = [];
  if (outer.length === 0) return { ends, loose, inheriting: new Set() };
  const reading: Reading = { names: host.names, unknown: new Set() };
  const outside = readLinks(host, reading);
  const byIndex = new Map(outside.map((found) => [found.index, found]));
  const vlans = bridgeVlans.read(host, reading);
  for (const found of outer) {
    const end = endOf(found, byIndex, vlans);
    if ('on' in end) ends.push(end);
    else loose.push(end);
  }
  return { ends, loose, inheriting: inheritingLinks(links, outside) };
}

function endOf(
  { link, index, lower }: FoundLink,
  host: ReadonlyMap<number, FoundLink>,
  vlans: readonly BridgeVlan[],
): OutsideEnd | LooseEnd {
  const other = host.get(lower ?? 0);
  const isPair = link.kind === 'veth';
  if (other === undefined || (isPair && other.lower !== index)) {
    return {
      link: link.name,
      message: `${link.name} (${link.kind}) hangs on a device of a third namespace`,
      hint: 'move that device to the host, or move both namespaces as one',
    };
  }
  if (link.data?.mode === pastNetfilter) {
    return {
      link: link.name,
      message: `${link.name}: an ipvlan in mode l3s gets packets that nothing in its namespace can stop`,
      hint: 'make it in mode l2 or l3',
    };
  }
  if (!isPair) {
    return { link: link.name, on: 'parent', device: other.link.name, mtu: other.link.mtu };
  }
  const bridge = [...host.values()].find(({ link: one }) => one.name === other.link.master);
  if (bridge?.link.kind !== 'bridge') return looseVeth(link.name, other, bridge);
  return compact({
    link: link.name,
    on: 'bridge' as const,
    device: bridge.link.name,
    mtu: bridge.link.mtu,
    vlans: filtersVlans(bridge.link) ? vlansOf(other.link.name, vlans) : undefined,
  });
}

/** Kinds that have the MAC of their parent unless somebody gave them another. */
const inheritingKinds = ['vlan', 'ipvlan', 'ipvtap', 'macvlan', 'macvtap'];

/**
 * Devices that have the MAC of a device of the host, because they are on top of it: on another host
 * they get that of the one that they hang on there. Two hosts with one address would take each
 * other's frames.
 */
export function inheritingLinks(
  links: readonly FoundLink[],
  host: readonly FoundLink[],
): ReadonlySet<string> {
  const inheriting = new Set<string>();
  const byName = new Map(links.map((found) => [found.link.name, found]));
  const isInheriting = ({ link, lower }: FoundLink): boolean => {
    if (!inheritingKinds.includes(link.kind)) return false;
    if (link.outside === true) {
      return host.some((one) => one.index === lower && one.link.mac === link.mac);
    }
    const parent = byName.get(link.parent ?? '');
    return parent !== undefined && parent.link.mac === link.mac && isInheriting(parent);
  };
  for (const found of links) if (isInheriting(found)) inheriting.add(found.link.name);
  return inheriting;
}

/** Its packets come from a hook of the host's namespace (drivers/net/ipvlan/ipvlan_l3s.c). */
const pastNetfilter = 'l3s';

/** Whether a bridge keeps the VLANs of its ports apart. */
export function filtersVlans({ data }: Pick<FoundLink['link'], 'data'>): boolean {
  return data?.vlanFiltering !== undefined;
}

function vlansOf(port: string, all: readonly BridgeVlan[]): NonNullable<OutsideEnd['vlans']> {
  return all
    .filter(({ link }) => link === port)
    .map(({ first, last, pvid, untagged }) => compact({ first, last, pvid, untagged }));
}

function looseVeth(name: string, other: FoundLink, master: FoundLink | undefined): LooseEnd {
  const outer = other.link.name;
  if (master === undefined) {
    return {
      link: name,
      message: `${name}: its other end ${outer} is on no bridge of this host`,
      hint: `put it on one (ip link set ${outer} master BRIDGE), or name one for the target in its map file`,
    };
  }
  return {
    link: name,
    message: `${name}: its other end ${outer} is a port of ${master.link.name} (${master.link.kind})`,
    hint: 'only ports of a Linux bridge are made again on another host: put it on one',
  };
}
