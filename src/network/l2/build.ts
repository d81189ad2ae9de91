import { MigrateError, tidyText } from '../../base/errors.ts';
import { breath } from '../../host/clock.ts';
import { run } from '../../host/run.ts';
import { type NetlinkSpace, openSpace } from '../netlink/space.ts';
import { muteDevices } from '../switchover/mute.ts';
import { isSame } from './compact.ts';
import { freshSysctls } from './fresh-sysctls.ts';
import {
  createLinks,
  type LinkStage,
  type OutsidePlaces,
  settleLinks,
  silent,
} from './make-links.ts';
import { loadIptables } from './netfilter/iptables.ts';
import { changedNft } from './netfilter/nft-tables.ts';
import { nftLines } from './nft.ts';
import { type FoundLink, readLinks } from './objects/link-read.ts';
import { earlySections, volatileSections } from './sections.ts';
import { readSettings, writeSettings } from './settings.ts';
import { type SettleOptions, settleSectionsGently } from './settle.ts';
import type { NetworkState, NftTable } from './state.ts';

export interface BuildOptions extends SettleOptions {
  /** How the devices that hang on the host come to be. */
  readonly places: OutsidePlaces;
  /** Devices that nothing may leave or reach yet: see switchover/mute.ts. */
  readonly muted?: readonly string[];
}

/**
 * Builds a namespace that was made for it from a document. The order matters: nft before the
 * sysctls, because it loads the modules that own some of them; sysctls while devices are down, so
 * that none acts on a half-made device; the making of link-local addresses is turned on last,
 * because the document has them, and so none is ever tentative.
 * After an error the namespace is half made: the caller destroys it, as on any other failure.
 * Throws NETWORK_FAILED with what the kernel refused, in its own words.
 */
export async function buildNetwork(
  state: NetworkState,
  netns: { readonly path: string },
  options: BuildOptions,
): Promise<void> {
  const inside = openSpace(netns.path);
  const host = openSpace(ownNamespace);
  try {
    // First, because the first device that hangs on the host gives the host's namespace a number.
    refuse(await settleSectionsGently(state, inside, { only: earlySections }));
    await createLinks(state.links, { inside, host }, options.places);
    const down = await untilSettled(state, inside, 'down');
    const { muted = [] } = options;
    if (muted.length > 0) await muteDevices(netns.path, muted);
    await loadNft(state.nft, netns);
    await loadIptables(netns, state.iptables);
    const hasChanged = await settleSettings(state, inside, down);
    await untilSettled(state, inside, 'up', hasChanged ? undefined : down);
    refuse(await settleSectionsGently(state, inside, options));
    await untilSettled(state, inside, 'done');
  } finally {
    inside.close();
    host.close();
  }
}

/**
 * Brings a namespace that was built before to the document of a later instant: what has changed
 * meanwhile, and nothing else. Throws as `buildNetwork` does.
 */
export async function updateNetwork(
  state: NetworkState,
  netns: { readonly path: string },
  before: { readonly built: NetworkState; readonly isOther: boolean },
): Promise<void> {
  // What traffic counts is no difference between two documents, and arrives all the same.
  const { built, isOther } = before;
  const { load, remove } = changedNft(built.nft, state.nft);
  await loadNft(load, netns, remove);
  if (!isSame(built.iptables, state.iptables)) await loadIptables(netns, state.iptables);
  const inside = openSpace(netns.path);
  try {
    const changed = volatileSections.filter((name) => !isSame(built[name], state[name]));
    if (changed.length > 0) refuse(await settleSectionsGently(state, inside, { only: changed }));
    if (!isOther) return;
    await settleSettings(state, inside);
    await untilSettled(state, inside, 'done');
    refuse(await settleSectionsGently(state, inside));
  } finally {
    inside.close();
  }
}

const ownNamespace = '/proc/self/ns/net';
/** Devices need each other at most as deep as they are nested. */
const linkRoundsMax = 8;

/**
 * What one stage leaves undone, the next may do, and the comparison at the end names it. The first
 * round may be told the devices, where nothing has changed since; answers them as last read.
 */
async function untilSettled(
  state: NetworkState,
  space: NetlinkSpace,
  stage: LinkStage,
  known?: readonly FoundLink[],
): Promise<readonly FoundLink[]> {
  let before = '';
  let links = known ?? readLinks(space, silent(space));
  for (let round = 0; round < linkRoundsMax; round += 1) {
    const { settled, failure } = settleLinks(state.links, space, stage, links);
    await breath();
    if (settled) break;
    links = readLinks(space, silent(space));
    if (failure !== undefined && failure === before) break;
    before = failure ?? '';
  }
  return links;
}

/** True when a sysctl was written, which may change devices; `links` are those before. */
async function settleSettings(
  state: NetworkState,
  space: NetlinkSpace,
  links?: readonly FoundLink[],
): Promise<boolean> {
  const fresh = await freshSysctls();
  let reads = 0;
  const read = () => {
    const known = reads === 0 ? links : undefined;
    reads += 1;
    return readSettings(space, known ?? readLinks(space, silent(space)), fresh);
  };
  await writeSettings(space, state.sysctls, read, fresh);
  return reads > 1;
}

/** nft reads `meta hour` in the time zone of its caller; capture.ts prints it in this one. */
const env = { TZ: 'UTC' };

/** Puts tables in place of their namesakes, and takes away those that are gone, at once. */
async function loadNft(
  tables: readonly NftTable[],
  netns: { readonly path: string },
  remove: readonly string[] = [],
): Promise<void> {
  const lines = [...remove.map((name) => `delete table ${name}`), ...nftLines(tables)];
  if (lines.length === 0) return;
  const options = { input: `${lines.join('\n')}\n`, okCodes: [0, 1], env };
  const { exitCode, stderr } = await run(
    'nsenter',
    [`--net=${netns.path}`, 'nft', '-f', '-'],
    options,
  );
  if (exitCode === 0) return;
  const at = /stdin:(\d+):/.exec(stderr)?.[1];
  const line = at === undefined ? undefined : lines[Number(at) - 1]?.trim();
  const reason = tidyText(stderr.split('\n').find((one) => one.trim() !== '') ?? 'no reason given');
  throw new MigrateError(
    'NETWORK_FAILED',
    `nft${line === undefined ? '' : ` "${line}"`}: ${reason}`,
  );
}

function refuse(refusals: readonly { readonly what: string; readonly why: string }[]): void {
  const [first] = refusals;
  if (first === undefined) return;
  const more = refusals.length === 1 ? '' : `, and ${refusals.length - 1} more`;
  throw new MigrateError('NETWORK_FAILED', `${first.what}: ${first.why}${more}`, {
    hint: 'The kernel of this host lacks it or bounds it differently.',
  });
}
