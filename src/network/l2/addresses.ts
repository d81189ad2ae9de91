import { z } from 'zod';
import { compact, flag } from './compact.ts';
import type { Address, Link } from './state.ts';

const forever = 4_294_967_295;

/** What the kernel gives lo when it goes up (inetdev_event, init_loopback). */
export const loopback: readonly Address[] = [
  { link: 'lo', family: 4, address: '127.0.0.1', prefixLength: 8, scope: 254 },
  { link: 'lo', family: 6, address: '::1', prefixLength: 128, scope: 254 },
];

/** One element of `addr_info` in `ip -j -N addr show`. */
const addressJson = z.looseObject({
  family: z.enum(['inet', 'inet6']),
  local: z.string(),
  address: z.string().optional(),
  prefixlen: z.number(),
  broadcast: z.string().optional(),
  scope: z.coerce.number(),
  label: z.string().optional(),
  metric: z.number().optional(),
  valid_life_time: z.number().optional(),
  preferred_life_time: z.number().optional(),
});

const linkJson = z.looseObject({
  ifname: z.string().optional(),
  addr_info: z.array(z.looseObject({})).optional(),
});

export interface AddressesRead {
  readonly addresses: Address[];
  /** IPv4 addresses that follow another of the same subnet: the kernel makes no route for them. */
  readonly secondary: ReadonlySet<Address>;
  readonly warnings: string[];
}

/** Reads `ip -j -N addr show` of one family; the order is the kernel's, which means something. */
export function readAddresses(json: unknown, ignored: ReadonlySet<string>): AddressesRead {
  const addresses: Address[] = [];
  const secondary = new Set<Address>();
  const warnings: string[] = [];
  for (const { ifname, addr_info: infos } of z.array(linkJson).parse(json)) {
    if (ifname === undefined || ignored.has(ifname)) continue;
    for (const info of z.array(addressJson).parse(infos ?? [])) {
      const address = readAddress(ifname, info, warnings);
      addresses.push(address);
      if (flag(info.secondary) && address.family === 4) secondary.add(address);
    }
  }
  return { addresses, secondary, warnings };
}

/**
 * The lines of `ip -batch` that give a device that has just gone up its addresses, in such an
 * order that the kernel lists them as the document does: it appends IPv4 addresses
 * (inet_insert_ifa) and puts each new IPv6 address before the others of its scope
 * (ipv6_link_dev_addr). What lo has by itself stays if it is wanted, because the kernel's own ::1
 * has no route in the main table and one that is added has.
 */
export function addressLines(link: Link, addresses: readonly Address[]): string[] {
  const lines = new Set(addresses.map(addressLine));
  const given = link.kind === 'lo' ? loopback : [];
  const kept = new Set(given.map(addressLine));
  const unwanted = given.filter((address) => !lines.has(addressLine(address)));
  const four = addresses.filter((address) => address.family === 4);
  const six = addresses.filter((address) => address.family === 6).reverse();
  return [
    // Unlike del, flush does not mind that disable_ipv6 has taken ::1 away already.
    ...unwanted.map((one) => `addr flush dev lo to ${one.address}`),
    ...(link.kind === 'lo' ? [] : [`addr flush dev ${link.name}`]),
    ...[...four, ...six].map(addressLine).filter((line) => !kept.has(line)),
  ];
}

function addressLine(address: Address): string {
  const { family, peer, prefixLength, broadcast, label, metric } = address;
  const local =
    peer === undefined
      ? `${address.address}/${prefixLength}`
      : `${address.address} peer ${peer}/${prefixLength}`;
  return [
    `addr add ${local} dev ${address.link}`,
    ...(broadcast === undefined ? [] : [`broadcast ${broadcast}`]),
    ...(family === 4 ? [`scope ${address.scope}`] : []),
    ...(label === undefined ? [] : [`label ${label}`]),
    ...(metric === undefined ? [] : [`metric ${metric}`]),
    ...(address.deprecated ? ['preferred_lft 0'] : []),
    ...(address.noPrefixRoute ? ['noprefixroute'] : []),
    ...(family === 6 ? ['nodad'] : []),
  ].join(' ');
}

function readAddress(link: string, info: z.infer<typeof addressJson>, warnings: string[]): Address {
  const family = info.family === 'inet' ? 4 : 6;
  const name = `address ${info.local}/${info.prefixlen} on ${link}`;
  const dynamic = (info.valid_life_time ?? forever) !== forever;
  if (dynamic) warnings.push(`${name}: its lifetime is not carried, it will stay forever`);
  if (flag(info.dadfailed)) warnings.push(`${name}: duplicate address detection had failed`);
  for (const name_ of ['temporary', 'mngtmpaddr', 'home', 'autojoin']) {
    if (flag(info[name_])) warnings.push(`${name}: flag ${name_} is not carried`);
  }
  const label = info.label === link ? undefined : info.label;
  const labelFits = label === undefined || label.startsWith(link);
  if (!labelFits) warnings.push(`${name}: label ${label} is not carried, ip refuses it`);
  return compact({
    link,
    family,
    address: info.local,
    prefixLength: info.prefixlen,
    peer: info.address,
    broadcast: info.broadcast,
    scope: info.scope,
    label: labelFits ? label : undefined,
    metric: info.metric,
    noPrefixRoute: flag(info.noprefixroute),
    deprecated: !dynamic && info.preferred_life_time === 0 ? true : undefined,
  } as const);
}
