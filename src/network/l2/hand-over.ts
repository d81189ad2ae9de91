import { type NetlinkSpace, openSpace } from '../netlink/space.ts';
import { fdbEntries } from './objects/fdb.ts';
import { changeLink } from './objects/link-requests.ts';
import { neighbours } from './objects/neighbours.ts';
import { routes } from './objects/routes.ts';
import type { Request } from './section.ts';
import type { Wire, WireSpeaker } from './wire.ts';

/** How what still arrives at a job's old devices is sent on, one speaker each. */
export interface Relay {
  readonly speaker: WireSpeaker;
  /** Addresses that stand for "the same device, but not here". */
  readonly v4: string;
  readonly v6: string;
  readonly mac: string;
}

/** As many stand-ins as there are; more speakers are not sent on to, and TCP sends again. */
const relaysMax = 250;

const ownNamespace = '/proc/self/ns/net';
const linkScope = 253;
/** RTPROT_STATIC and RT_TABLE_MAIN of include/uapi/linux/rtnetlink.h. */
const staticProtocol = 4;
const mainTable = 254;

/** MACs of a target's own devices by the names of the job's that hang on them. */
export type TargetMacs = Readonly<Record<string, string>>;

/** Where the frames of a speaker go once the job runs elsewhere; undefined when nobody knows. */
function newMacOf({ isInherited, mac, end }: WireSpeaker, macs: TargetMacs): string | undefined {
  return isInherited ? macs[end] : mac;
}

export function relaysOf({ speakers }: Wire, macs: TargetMacs): Relay[] {
  return speakers.slice(0, relaysMax).flatMap((speaker, index) => {
    const mac = newMacOf(speaker, macs);
    if (mac === undefined) return [];
    return [{ speaker, mac, v4: `169.254.77.${index + 1}`, v6: `fe80::6d67:${index + 1}` }];
  });
}

/**
 * A job's MACs live on the target now: neighbour entries lead to the new place of each, the devices
 * that send to there get others, so that nobody learns the old place again, and the host's bridges
 * forget it, unless they have learned the new one already. Throws KERNEL.
 */
export function handOver(netns: string, wire: Wire, relays: readonly Relay[]): void {
  const inside = openSpace(netns);
  const host = openSpace(ownNamespace);
  try {
    const moved = [...wire.vias, ...wire.speakers.filter(({ isInherited }) => !isInherited)];
    const unique = new Set(moved.map(({ mac }) => mac));
    inside
      .socket('route')
      .send([
        ...wire.vias.flatMap((one) => otherMac(one, inside)),
        ...relays.flatMap((relay) => leadTo(relay, inside)),
      ]);
    // ENOENT of what was never learned, or has gone from the bridge already, is fine.
    host.socket('route').send(
      wire.hostEnds.flatMap((link) =>
        [...unique].flatMap((mac) => {
          const entry = { link, bridge: anyBridge, mac, state: 0 };
          return fdbEntries.remove(entry, host.names);
        }),
      ),
    );
  } finally {
    inside.close();
    host.close();
  }
}

/**
 * Undoes it, in the namespace that it was done in: the job goes on here after all. What is not
 * there any more is fine. Throws KERNEL.
 */
export function takeBack(netns: string, { vias, relays }: HandedOver): void {
  const space = openSpace(netns);
  try {
    space
      .socket('route')
      .send([
        ...vias.flatMap(({ device, mac }) => changeMac(device, mac, space)),
        ...relays.flatMap((relay) => leadNoMore(relay, space)),
      ]);
  } finally {
    space.close();
  }
}

/** What of a hand-over it takes to undo it. */
export interface HandedOver {
  readonly vias: Wire['vias'];
  readonly relays: readonly Pick<Relay, 'speaker' | 'v4' | 'v6' | 'mac'>[];
}

/** An entry is named by its port; whose port that is, the kernel knows. */
const anyBridge = 'master';

function otherMac({ device, mac }: Wire['vias'][number], space: NetlinkSpace): readonly Request[] {
  return changeMac(device, spareMac(mac), space);
}

function changeMac(device: string, mac: string, space: NetlinkSpace): readonly Request[] {
  const index = space.names.indexOf(device);
  const link = { name: device, kind: '', mtu: 0, txQueueLength: 0, up: true, group: 0 };
  return changeLink({ ...link, mac }, { index, link }, ['mac'], space.names);
}

/**
 * With a route of its own: without one nft's dup looks for the job's address instead (route.c,
 * rt_set_nexthop), and that question tells the neighbours the wrong MAC.
 */
function leadTo(relay: Relay, { names }: NetlinkSpace): Request[] {
  const { route, entries } = standIns(relay);
  return [...routes.add(route, names), ...entries.flatMap((one) => neighbours.add(one, names))];
}

function leadNoMore(relay: Relay, { names }: NetlinkSpace): Request[] {
  const { route, entries } = standIns(relay);
  return [
    ...entries.flatMap((one) => neighbours.remove(one, names)),
    ...routes.remove(route, names),
  ];
}

function standIns({ speaker, mac, v4, v6 }: Relay) {
  const { via: link, table = mainTable } = speaker;
  const route = {
    ...({ family: 4, type: 'unicast', destination: `${v4}/32`, link } as const),
    ...{ table, protocol: staticProtocol, scope: linkScope },
  };
  const entries = [
    { link, family: 4, address: v4, mac },
    { link, family: 6, address: v6, mac },
  ] as const;
  return { route, entries };
}

/** Another locally administered address: the job's with its last bit turned. */
function spareMac(mac: string): string {
  const last = Number.parseInt(mac.slice(-2), 16) ^ 1;
  return mac.slice(0, -2) + last.toString(16).padStart(2, '0');
}
