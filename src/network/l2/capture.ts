import { asMigrateError, MigrateError } from '../../base/errors.ts';
import { type ArmedTool, armTool } from '../../host/arm.ts';
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
const ipScript = (family: 4 | 6) =>
  `ip -${family} -j -d -N -batch - <<end\n${shows.join('\n')}\nend\n`;

/**
 * Everything but the sysctls, one after the other in one shell: starting a program from Node costs
 * more than these take. A fixed text; numbers instead of names, because names differ by host, and
 * one time zone, because nft prints `meta hour` in that of its caller.
 */
const objectsScript = `set -e\n${ipScript(4)}${ipScript(6)}TZ=UTC nft list ruleset\n`;
const legacyTables = ['/proc/self/net/ip_tables_names', '/proc/self/net/ip6_tables_names'];
const sysctlScript = `exec grep -rs '' /proc/sys/net ${legacyTables.join(' ')}\n`;

/**
 * Reads the network identity of a namespace: objects and sysctls at once, entered with nsenter(1),
 * which unlike `ip netns exec` leaves the mount namespace alone. Nothing is changed. Our own
 * devices (mgh*) and nft tables (migrate-*) are left out.
 * Throws PLAN_REFUSED for what cannot be carried, by name, and NETWORK_FAILED when reading fails.
 */
export async function captureNetwork(
  netns: Netns,
  options: CaptureOptions = {},
): Promise<NetworkState> {
  return createCapture(netns, options).read();
}

/** Reads the same namespace more than once: ahead while a job runs, then in its frozen window. */
export interface NetworkCapture {
  /** As `captureNetwork`; a namespace that reads as it did before is not parsed again. */
  read(): Promise<NetworkState>;
  /** Starts the programs of the next reading, which wait: it then costs no start. */
  arm(): void;
  /** Ends what was armed and not used. */
  cancel(): void;
}

export function createCapture(netns: Netns, options: CaptureOptions = {}): NetworkCapture {
  let armed: readonly ArmedTool[] = [];
  let known: { readonly text: string; readonly state: NetworkState } | undefined;
  const capture = {
    arm() {
      // The shell reads what to do from its input; grep says 2 when a file cannot be read.
      armed = [armShell(netns, [0]), armShell(netns, [0, 2])];
    },
    cancel() {
      for (const tool of armed) tool.cancel();
    },
    async read() {
      if (armed.length === 0) capture.arm();
      const [objects, sysctls] = armed;
      armed = [];
      const [objectsText = '', sysctlText = '', fresh, nftVersion] = await Promise.all([
        objects?.fire(objectsScript).then(({ stdout }) => stdout, unreadable),
        sysctls?.fire(sysctlScript).then(({ stdout }) => stdout, unreadable),
        freshSysctls(),
        versionOfNft(),
      ]);
      const text = `${objectsText}\n${sysctlText}`;
      if (known?.text === text) return known.state;
      const state = await parse({ objectsText, sysctlText, fresh, nftVersion }, options);
      known = { text, state };
      return state;
    },
  };
  return capture;
}

interface Texts {
  readonly objectsText: string;
  readonly sysctlText: string;
  readonly fresh: Awaited<ReturnType<typeof freshSysctls>>;
  readonly nftVersion: string;
}

async function parse(
  { objectsText, sysctlText, fresh, nftVersion }: Texts,
  options: CaptureOptions,
): Promise<NetworkState> {
  try {
    const { four, six, nftText } = splitObjects(objectsText);
    const links = readLinks(four[0], options.ignoreLinks ?? []);
    const state = {
      version: 1,
      ...readObjects(four, six, links, legacyWarnings(sysctlText)),
      nftVersion,
      nft: readNftTables(nftText, options.ignoreTables ?? []),
      sysctls: await readSysctls(sysctlText, fresh, links),
    };
    return parseNetworkState(state, 'PLAN_REFUSED');
  } catch (error) {
    throw asMigrateError(error, 'NETWORK_FAILED');
  }
}

/** Does the part of a capture that is the same for a whole boot: no frozen window pays it. */
export async function warmCapture(): Promise<void> {
  await Promise.all([freshSysctls(), versionOfNft()]);
}

let knownNftVersion: string | undefined;

/** Part of the document because another version prints the same ruleset with other words. */
async function versionOfNft(): Promise<string> {
  knownNftVersion ??= (await run('nft', ['-v']).catch(unreadable)).stdout.split(' ')[1];
  return knownNftVersion ?? 'unknown';
}

function readObjects(
  four: readonly unknown[],
  six: readonly unknown[],
  links: LinksRead,
  legacy: readonly string[],
): Omit<NetworkState, 'version' | 'nftVersion' | 'nft' | 'sysctls'> {
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

/** One line of JSON for each `show` of each family, then the ruleset. */
function splitObjects(text: string) {
  const lines = text.split('\n');
  // Some versions of iproute2 end a document with an empty line.
  const json: string[] = [];
  let at = 0;
  for (; at < lines.length && json.length < 2 * shows.length; at++) {
    const line = lines[at] ?? '';
    if (line.startsWith('[')) json.push(line);
  }
  if (json.length < 2 * shows.length) {
    const answers = `${json.length} of ${2 * shows.length} questions`;
    throw new MigrateError('NETWORK_FAILED', `ip answered ${answers} about the namespace`);
  }
  const parsed = json.map((line) => JSON.parse(line) as unknown);
  return {
    four: parsed.slice(0, shows.length),
    six: parsed.slice(shows.length),
    nftText: lines.slice(at).join('\n'),
  };
}

function armShell(netns: Netns, okCodes: readonly number[]): ArmedTool {
  return armTool('nsenter', [`--net=${netns.path}`, 'sh'], { okCodes });
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
