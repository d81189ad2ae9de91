import { asMigrateError, MigrateError } from '../../base/errors.ts';
import { tellProblems } from '../../base/problems.ts';
import { type ArmedTool, armTool } from '../../host/arm.ts';
import { breath } from '../../host/clock.ts';
import { run } from '../../host/run.ts';
import type { Reading } from '../netlink/codec.ts';
import { type NetlinkSpace, openSpace } from '../netlink/space.ts';
import { compact } from './compact.ts';
import { freshSysctls } from './fresh-sysctls.ts';
import { isFallbackDevice } from './kinds/fallback.ts';
import { findIptables, readIptables } from './netfilter/iptables.ts';
import { type NetnsFile, readNetnsFiles } from './netfilter/netns-files.ts';
import { readNftHeads } from './netfilter/nft-heads.ts';
import { listRuleset, readNft } from './netfilter/nft-tables.ts';
import { ipsecProblems } from './objects/ipsec.ts';
import { type FoundLink, readLinks } from './objects/link-read.ts';
import { findOutsideEnds } from './outside.ts';
import { type SectionLists, sectionNames, sectionOf } from './sections.ts';
import { readSettings, unknownSettings } from './settings.ts';
import { type NetworkState, parseNetworkState } from './state.ts';
import type { FreshSysctls } from './sysctls.ts';

export interface CaptureOptions {
  /** Devices that are no part of the job, with all that hangs on them. */
  readonly ignoreLinks?: readonly string[];
  /** nft tables that are no part of the job: `NAME` or `FAMILY NAME`. */
  readonly ignoreTables?: readonly string[];
  /** Devices that hang on nothing yet, as those of a namespace that was just built, are fine. */
  readonly allowLoose?: boolean;
}

/** A namespace by its file: /run/netns/NAME or /proc/PID/ns/net. */
export interface Netns {
  readonly path: string;
}

/** Why a namespace cannot be moved as it is, one thing each. */
export interface NetworkProblem {
  readonly message: string;
  readonly hint: string;
}

/**
 * Reads the network identity of a namespace. Nothing is changed. Our own devices (mgh*) and nft
 * tables (migrate-ID, migrate-mute) are left out.
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
  /** As `captureNetwork`. */
  read(): Promise<NetworkState>;
  /** Starts the programs of the next reading, which wait: it then costs no start. */
  arm(): void;
  /** Ends what was armed and not used. */
  cancel(): void;
}

export function createCapture(netns: Netns, options: CaptureOptions = {}): NetworkCapture {
  let armed: ArmedTool | undefined;
  const capture = {
    arm() {
      armed = armTool('nsenter', [`--net=${netns.path}`, 'sh']);
    },
    cancel() {
      armed?.cancel();
    },
    async read() {
      const shell = armed;
      armed = undefined;
      // Nothing is started for a namespace without tables, unless it waits already.
      const list = async () =>
        shell === undefined
          ? listRuleset(netns.path).catch(unreadable)
          : (await shell.fire(nftScript).catch(unreadable)).stdout;
      try {
        const inside = openSpace(netns.path);
        const found = await readObjects(inside, options).finally(() => inside.close());
        const { state: objects, heads, groups } = found;
        const state = {
          ...objects,
          files: await filesOf(netns),
          nftVersion: await versionOfNft(),
          nft: await readNft(heads, list, options.ignoreTables),
          iptables: await readIptables(netns, groups),
        };
        return parseNetworkState(state, 'PLAN_REFUSED');
      } catch (error) {
        throw asMigrateError(error, 'NETWORK_FAILED');
      } finally {
        shell?.cancel();
      }
    },
  };
  return capture;
}

/** /etc/netns/NAME belongs to a namespace that has its name from `ip netns add`. */
async function filesOf({ path }: Netns): Promise<NetnsFile[]> {
  const name = /^\/run\/netns\/(.+)$/.exec(path)?.[1];
  return name === undefined ? [] : readNetnsFiles(name);
}

/** Does the part of a capture that is the same for a whole boot: no frozen window pays it. */
export async function warmCapture(): Promise<void> {
  await Promise.all([freshSysctls(), versionOfNft()]);
}

/** A fixed text; one time zone, because nft prints `meta hour` in that of its caller. */
const nftScript = 'TZ=UTC exec nft -n list ruleset\n';
const ownNamespace = '/proc/self/ns/net';
/** Devices of ours (holds) begin with this and are no part of a job. */
const ownPrefix = 'mgh';

let knownNftVersion: string | undefined;

/** Part of the document because another version prints the same ruleset with other words. */
async function versionOfNft(): Promise<string> {
  knownNftVersion ??= (await run('nft', ['-v']).catch(unreadable)).stdout.split(' ')[1];
  return knownNftVersion ?? 'unknown';
}

async function readObjects(inside: NetlinkSpace, options: CaptureOptions) {
  const known = await freshSysctls();
  const isNew = unknownSettings(inside, known).length > 0;
  const fresh = isNew ? await freshSysctls(true) : known;
  const host = openSpace(ownNamespace);
  try {
    const heads = readNftHeads(inside);
    const state = await readAll(inside, host, options, fresh);
    return { state, heads, groups: findIptables(inside, heads) };
  } finally {
    host.close();
  }
}

/** With breaths: on a slow host all of it together may take longer than a link without a word. */
async function readAll(
  inside: NetlinkSpace,
  host: NetlinkSpace,
  options: CaptureOptions,
  fresh: FreshSysctls,
) {
  const reading: Reading = { names: inside.names, unknown: new Set() };
  const all = readLinks(inside, reading);
  const isIgnored = (name: string) =>
    name.startsWith(ownPrefix) || options.ignoreLinks?.includes(name) === true;
  const found = all.filter(({ link }) => !isIgnored(link.name) && !isIdleFallback(link));
  const { ends, loose, inheriting } = findOutsideEnds(found, host);
  const problems = found.flatMap(({ problem }) => problem ?? []);
  const names = new Set(found.map(({ link }) => link.name));
  const entries: [string, unknown[]][] = [];
  for (const name of sectionNames) {
    await breath();
    const items = sectionOf(name).read(inside, reading);
    entries.push([name, items.filter((one) => hangsOn(one, names))]);
  }
  const lists = Object.fromEntries(entries) as unknown as SectionLists;
  const ofObjects = toldBySections(lists);
  refuseProblems([
    ...(options.allowLoose === true ? problems : [...problems, ...loose]),
    ...ofObjects.problems,
    ...ipsecProblems(inside),
  ]);
  const others = lists.peerNamespaces.filter(({ peer }) => peer === 'unknown');
  return {
    version: 2 as const,
    links: found.map(({ link }) => (inheriting.has(link.name) ? withoutMac(link) : link)),
    ends,
    ...lists,
    peerNamespaces: lists.peerNamespaces.filter(({ peer }) => peer === 'host'),
    sysctls: await readSettings(inside, found, fresh),
    warnings: [
      ...[...reading.unknown].map((what) => `${what}: an attribute that is not known here`),
      ...ofObjects.warnings,
      ...others.map(({ id }) => `namespace number ${id} belongs to one that stays`),
    ],
  };
}

/** It is that of the host's device, and another on another host. */
function withoutMac({ mac: _mac, ...link }: FoundLink['link']): FoundLink['link'] {
  return link;
}

/** What sections say of single objects: that one cannot be carried, or not all of it. */
function toldBySections(lists: SectionLists) {
  const problems: NetworkProblem[] = [];
  const warnings: string[] = [];
  for (const name of sectionNames) {
    const section = sectionOf(name);
    for (const one of lists[name]) {
      const what = `${section.name} ${section.describe(one)}`;
      const [problem, warning] = [section.problem?.(one), section.warning?.(one)];
      if (problem !== undefined) problems.push({ message: `${what}: ${problem}`, hint: takeAway });
      if (warning !== undefined) warnings.push(`${what}: ${warning}`);
    }
  }
  return { problems, warnings };
}

const takeAway = 'Take it away before the move, and make it again on the target if it is needed.';

/** What hangs on a device that is left out is left out with it. */
function hangsOn(one: unknown, names: ReadonlySet<string>): boolean {
  const link = one !== null && typeof one === 'object' && 'link' in one ? one.link : undefined;
  return typeof link !== 'string' || names.has(link);
}

/** A fallback device that nobody uses comes with the kernel of each host, or does not. */
function isIdleFallback(link: FoundLink['link']): boolean {
  return isFallbackDevice(link.name, link.kind) && !link.up && link.master === undefined;
}

function refuseProblems(problems: readonly NetworkProblem[]): void {
  if (problems.length === 0) return;
  const { message, hint } = tellProblems(problems);
  throw new MigrateError('PLAN_REFUSED', message, hint === undefined ? {} : { hint });
}

function unreadable(error: unknown): never {
  const { message, details } = asMigrateError(error);
  throw new MigrateError('NETWORK_FAILED', message, compact({ hint: details.hint, cause: error }));
}
