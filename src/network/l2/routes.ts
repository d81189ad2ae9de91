import { z } from 'zod';
import { MigrateError } from '../../base/errors.ts';
import { compact } from './compact.ts';
import { destinationKey, subnetKey } from './prefixes.ts';
import { type Address, type Link, type Route, routeMetricNames, routeTypes } from './state.ts';

/** rtnetlink(7), include/uapi/linux/rtnetlink.h. */
const protocols = { redirect: 1, kernel: 2 } as const;
const localTable = 255;
const mainTable = 254;
const addressRouteMetric = 256;

const hopJson = {
  gateway: z.string().optional(),
  via: z.looseObject({ host: z.string() }).optional(),
  dev: z.string().optional(),
  flags: z.array(z.string()).optional(),
};

/** One element of `ip -j -d -N route show table all`. */
const routeJson = z.strictObject({
  ...hopJson,
  type: z.coerce.number().optional(),
  dst: z.string(),
  from: z.string().optional(),
  table: z.coerce.number().optional(),
  protocol: z.coerce.number(),
  scope: z.coerce.number(),
  metric: z.number().optional(),
  tos: z.string().optional(),
  prefsrc: z.string().optional(),
  metrics: z.array(z.record(z.string(), z.unknown())).optional(),
  nexthops: z.array(z.strictObject({ ...hopJson, weight: z.number() })).optional(),
  pref: z.string().optional(),
  nhid: z.number().optional(),
  nh_info: z.unknown().optional(),
  expires: z.number().optional(),
  error: z.number().optional(),
  cache: z.unknown().optional(),
});

type RouteJson = z.infer<typeof routeJson>;

/** What decides which routes the kernel makes by itself. */
export interface RouteContext {
  readonly links: readonly Link[];
  readonly ignored: ReadonlySet<string>;
  readonly addresses: readonly Address[];
  readonly secondary: ReadonlySet<Address>;
}

/**
 * Reads `ip -j -d -N route show table all` of one family. Routes that the kernel makes from the
 * addresses are checked against them: one that no address explains is kept in the document, one
 * that an address promises and that is gone is named in a warning.
 * Throws PLAN_REFUSED for a route that says something which this document cannot.
 */
export function readRoutes(
  json: unknown,
  family: 4 | 6,
  context: RouteContext,
): { routes: Route[]; warnings: string[] } {
  const promised = promisedRoutes(family, context);
  const routes: Route[] = [];
  const warnings: string[] = [];
  for (const item of z.array(z.looseObject({})).parse(json)) {
    const raw = parseRoute(item);
    if (raw.dev !== undefined && context.ignored.has(raw.dev)) continue;
    if (promised.delete(keyOf(raw, family)) || isMadeByKernel(raw)) continue;
    routes.push(readRoute(raw, family, warnings));
  }
  // The kernel's own ::1 comes without a route in the main table, an added one with it.
  promised.delete(promiseKey(6, subnetKey('::1', 128), 'lo', undefined, undefined));
  for (const name of promised.values()) {
    warnings.push(`${name} was removed by hand and comes back with its address`);
  }
  return { routes: byTable(routes), warnings };
}

/** The kernel lists tables in the order of a hash; within one, order is the route's own. */
export function byTable(routes: readonly Route[]): Route[] {
  return [...routes].sort((a, b) => a.family - b.family || a.table - b.table);
}

/**
 * The lines of `ip -batch` that add the routes: those without a gateway before those that need
 * them to reach one (fib_check_nh wants a narrower scope), else in the document's order.
 */
export function routeLines(routes: readonly Route[]): string[] {
  const seen = new Set<string>();
  return [...routes]
    .sort((a, b) => rank(a) - rank(b))
    .map((route) => {
      const key = [route.family, route.table, route.destination, route.tos, route.metric].join(' ');
      // Two IPv4 routes of one key differ in their gateways; only `append` adds the second.
      const verb = route.family === 4 && seen.has(key) ? 'append' : 'add';
      seen.add(key);
      return `route ${verb} ${routeText(route)}`;
    });
}

function rank(route: Route): number {
  if (route.family === 4) return 255 - route.scope;
  return route.gateway === undefined && route.nextHops === undefined ? 0 : 1;
}

/** A route as ip-route(8) reads it. */
export function routeText(route: Route): string {
  const { from, tos, metric, source, congestion, preference } = route;
  return [
    `${route.type} ${route.destination}`,
    ...(from === undefined ? [] : [`from ${from}`]),
    ...(tos === undefined ? [] : [`tos ${tos}`]),
    `table ${route.table} proto ${route.protocol}`,
    ...(route.family === 4 ? [`scope ${route.scope}`] : []),
    ...(metric === undefined ? [] : [`metric ${metric}`]),
    ...(source === undefined ? [] : [`src ${source}`]),
    ...Object.entries(route.metrics ?? {}).map(([name, value]) => `${name} ${value}`),
    ...(congestion === undefined ? [] : [`congctl ${congestion}`]),
    ...(preference === undefined ? [] : [`pref ${preference}`]),
    ...hopText(route, route.family),
    ...(route.nextHops ?? []).flatMap((hop) => [
      'nexthop',
      ...hopText(hop, route.family),
      `weight ${hop.weight}`,
    ]),
  ].join(' ');
}

function hopText(hop: Pick<Route, 'gateway' | 'link' | 'onlink'>, family: 4 | 6): string[] {
  const foreign = family === 4 && hop.gateway?.includes(':');
  return [
    ...(hop.gateway === undefined ? [] : [`via ${foreign ? 'inet6 ' : ''}${hop.gateway}`]),
    ...(hop.link === undefined ? [] : [`dev ${hop.link}`]),
    ...(hop.onlink ? ['onlink'] : []),
  ];
}

function parseRoute(item: Record<string, unknown>): RouteJson {
  const parsed = routeJson.safeParse(item);
  if (parsed.success) return parsed.data;
  const what = parsed.error.issues[0]?.message ?? 'unknown form';
  throw new MigrateError('PLAN_REFUSED', `route ${String(item.dst)}: ${what}`, {
    hint: 'Remove the route, or express it without what is named here.',
  });
}

/** Local, broadcast, anycast and multicast entries, and cached redirects. */
function isMadeByKernel(raw: RouteJson): boolean {
  return (
    raw.protocol === protocols.redirect ||
    (raw.protocol === protocols.kernel && raw.table === localTable)
  );
}

function readRoute(raw: RouteJson, family: 4 | 6, warnings: string[]): Route {
  const type = routeTypes[(raw.type ?? 1) - 1];
  if (type === undefined) {
    throw new MigrateError('PLAN_REFUSED', `route ${raw.dst}: type ${raw.type} is not known`);
  }
  const { metrics, congestion } = readMetrics(raw, warnings);
  const name = `route ${raw.dst} in table ${raw.table ?? mainTable}`;
  if (raw.expires !== undefined) warnings.push(`${name}: its lifetime is not carried`);
  if (raw.nhid !== undefined) warnings.push(`${name}: nexthop object ${raw.nhid} becomes plain`);
  return compact({
    family,
    type,
    destination: raw.dst,
    from: raw.from,
    table: raw.table ?? mainTable,
    protocol: raw.protocol,
    scope: raw.scope,
    metric: raw.metric,
    tos: raw.tos,
    source: raw.prefsrc,
    ...(raw.nexthops === undefined ? readHop(raw) : {}),
    nextHops: raw.nexthops?.map((hop) => ({ ...readHop(hop), weight: hop.weight })),
    metrics,
    congestion,
    preference: raw.pref === 'low' || raw.pref === 'high' ? raw.pref : undefined,
  } as const);
}

function readHop(raw: Pick<RouteJson, 'gateway' | 'via' | 'dev' | 'flags'>) {
  return compact({
    gateway: raw.gateway ?? raw.via?.host,
    link: raw.dev,
    onlink: raw.flags?.includes('onlink') ? (true as const) : undefined,
  });
}

function readMetrics(raw: RouteJson, warnings: string[]): Pick<Route, 'metrics' | 'congestion'> {
  const all = Object.assign({}, ...(raw.metrics ?? [])) as Record<string, unknown>;
  const { congestion, ...numbers } = all;
  const known = routeMetricNames.filter((name) => typeof numbers[name] === 'number');
  for (const name of Object.keys(numbers)) {
    if (!known.some((one) => one === name)) {
      warnings.push(`route ${raw.dst}: metric ${name} is not carried`);
    }
  }
  return {
    metrics:
      known.length === 0
        ? undefined
        : Object.fromEntries(known.map((name) => [name, Number(numbers[name])])),
    congestion: typeof congestion === 'string' ? congestion : undefined,
  };
}

function keyOf(raw: RouteJson, family: 4 | 6): string {
  if (raw.protocol !== protocols.kernel || raw.table !== mainTable) return '';
  return promiseKey(family, destinationKey(raw.dst, family), raw.dev, raw.prefsrc, raw.metric);
}

function promiseKey(
  family: 4 | 6,
  subnet: string,
  link: string | undefined,
  source: string | undefined,
  metric: number | undefined,
): string {
  if (family === 4) return [4, subnet, link, source, metric ?? 0].join(' ');
  return [6, subnet, link, metric ?? addressRouteMetric].join(' ');
}

/** The routes of the main table that the kernel makes from addresses, by key, with a name. */
function promisedRoutes(family: 4 | 6, context: RouteContext): Map<string, string> {
  const up = new Set(context.links.filter((link) => link.up).map((link) => link.name));
  const promised = new Map<string, string>();
  for (const one of context.addresses) {
    if (one.family !== family || !up.has(one.link) || one.noPrefixRoute) continue;
    if (family === 4 && !hasSubnetRoute(one, context)) continue;
    const target = one.peer ?? one.address;
    const subnet = subnetKey(target, one.prefixLength);
    const key = promiseKey(family, subnet, one.link, one.address, one.metric);
    promised.set(key, `route to the subnet of ${target}/${one.prefixLength} on ${one.link}`);
  }
  return promised;
}

/** fib_add_ifaddr() of net/ipv4/fib_frontend.c. */
function hasSubnetRoute(address: Address, context: RouteContext): boolean {
  const loopback = context.links.some((link) => link.name === address.link && link.kind === 'lo');
  const single = address.prefixLength === 32 && address.peer === undefined;
  return !loopback && !single && !context.secondary.has(address);
}
