import { MigrateError } from '../../base/errors.ts';
import { run } from '../../host/run.ts';
import { readAddresses } from './addresses.ts';
import { freshSysctls } from './fresh-sysctls.ts';
import { type LinksRead, readLinks } from './links.ts';
import { readNeighbours } from './neighbours.ts';
import { readNftTables } from './nft.ts';
import { readRoutes } from './routes.ts';
import { readRules } from './rules.ts';
import { type NetworkState, parseNetworkState } from './state.ts';
import { pickSysctls, readSysctlText, type Sysctls, unexplained } from './sysctls.ts';

export interface CaptureOptions {
  /** Devices that are no part of the job, with all that hangs on them. */
  readonly ignoreLinks?: readonly string[];
  /** nft tables that are no part of the job: `NAME` or `FAMILY NAME`. */
  readonly ignoreTables?: readonly string[];
}

/** A namespace by its file: /run/netns/NAME or /proc/PID/ns/net. */
export interface Netns {
  readonly path: string;
}

const familyShows = ['addr show', 'route show table all', 'rule show'];
const neighbourShows = ['neigh show nud permanent', 'neigh show proxy'];
const shows = ['link show', ...familyShows, ...neighbourShows];
const legacyTables = ['/proc/self/net/ip_tables_names', '/proc/self/net/ip6_tables_names'];

/**
 * Reads the network identity of a namespace: four programs at once, each entered with nsenter(1),
 * which unlike `ip netns exec` leaves the mount namespace alone. Nothing is changed. Our own
 * devices (mgh*), nft tables (migrate-*) and ingress qdiscs are left out.
 * Throws PLAN_REFUSED for what cannot be carried, by name, and NETWORK_FAILED when reading fails.
 */
export async function captureNetwork(
  netns: Netns,
  options: CaptureOptions = {},
): Promise<NetworkState> {
  const [four, six, nftText, sysctlText, fresh] = await Promise.all([
    showAll(netns, 4),
    showAll(netns, 6),
    read(netns, ['nft', '-T', 'list', 'ruleset'], [0]),
    // grep says 2 when some file, such as an unset stable_secret, could not be read.
    read(netns, ['grep', '-rs', '', '/proc/sys/net', ...legacyTables], [0, 2]),
    freshSysctls(),
  ]);
  const links = readLinks(four[0], options.ignoreLinks ?? []);
  const sysctls = await readSysctls(sysctlText, fresh, links);
  return parseNetworkState({
    version: 1,
    ...readObjects(four, six, links, legacyWarnings(sysctlText)),
    nft: readNftTables(nftText, options.ignoreTables ?? []),
    sysctls,
  });
}

/** Does the part of a capture that is the same for a whole boot, so that no frozen window pays it. */
export async function warmCapture(): Promise<void> {
  await freshSysctls();
}

function readObjects(
  four: readonly unknown[],
  six: readonly unknown[],
  links: LinksRead,
  legacy: readonly string[],
): Omit<NetworkState, 'version' | 'nft' | 'sysctls'> {
  const families = ([4, 6] as const).map((family) => {
    const [, addr, route, rule, permanent, proxy] = family === 4 ? four : six;
    const addresses = readAddresses(addr, links.ignored);
    const routes = readRoutes(route, family, { ...links, ...addresses });
    const neighbours = [permanent, proxy].flatMap((json) =>
      readNeighbours(json, family, links.ignored),
    );
    const warnings = [...addresses.warnings, ...routes.warnings];
    return { ...addresses, ...routes, ...readRules(rule, family), neighbours, warnings };
  });
  return {
    links: links.links,
    addresses: families.flatMap((one) => one.addresses),
    routes: families.flatMap((one) => one.routes),
    rules: families.flatMap((one) => one.rules),
    removedRules: families.flatMap((one) => one.removedRules),
    neighbours: families.flatMap((one) => one.neighbours),
    warnings: [...links.warnings, ...families.flatMap((one) => one.warnings), ...legacy],
  };
}

/** One program for all objects of a family: numbers instead of names, which differ by host. */
async function showAll(netns: Netns, family: 4 | 6): Promise<readonly unknown[]> {
  const args = [`--net=${netns.path}`, 'ip', `-${family}`, '-j', '-d', '-N', '-batch', '-'];
  const result = await run('nsenter', args, { input: `${shows.join('\n')}\n` }).catch(unreadable);
  const texts = result.stdout.split('\n').filter((line) => line.trim() !== '');
  if (texts.length !== shows.length) {
    throw new MigrateError('NETWORK_FAILED', `ip answered ${texts.length} of ${shows.length}`);
  }
  return texts.map((text) => JSON.parse(text) as unknown);
}

async function read(
  netns: Netns,
  command: readonly string[],
  okCodes: readonly number[],
): Promise<string> {
  const args = [`--net=${netns.path}`, ...command];
  const { stdout } = await run('nsenter', args, { okCodes }).catch(unreadable);
  return stdout;
}

async function readSysctls(
  text: string,
  fresh: Awaited<ReturnType<typeof freshSysctls>>,
  { links }: LinksRead,
): Promise<Sysctls> {
  const found = readSysctlText(text);
  const standard = unexplained(found, fresh).length > 0 ? await freshSysctls(true) : fresh;
  return pickSysctls(found, standard, new Map(links.map((link) => [link.name, link.mtu])));
}

function legacyWarnings(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => legacyTables.some((path) => line.startsWith(`${path}:`)))
    .map((line) => `iptables table ${line.slice(line.indexOf(':') + 1)} (legacy) is not carried`);
}

function unreadable(cause: unknown): never {
  const why = cause instanceof Error ? cause.message : String(cause);
  throw new MigrateError('NETWORK_FAILED', `cannot read the namespace: ${why}`, { cause });
}
