import { attribute, attributeSet } from '../../netlink/attributes.ts';
import { link, mac, netUint16, uint8, uint16, uint32, uint64 } from '../../netlink/codec.ts';
import { maskedBits, unless } from './codecs.ts';
import type { LinkData, LinkKind } from './kind.ts';

/**
 * br_boolopt_id of include/uapi/linux/if_bridge.h: no learning from link-local frames, multicast
 * snooping a VLAN, a spanning tree a VLAN. A kernel without VLANs refuses to hear of the last two,
 * so that they can be turned on and not off again; a bridge begins without.
 */
const settableBooleans = 1;
const spanningTreeOfVlans = 4;

/** IFLA_BR_* of include/uapi/linux/if_link.h. Times are in hundredths of a second (USER_HZ). */
const data = attributeSet(
  'bridge',
  {
    forwardDelay: attribute(1, uint32),
    helloTime: attribute(2, uint32),
    maxAge: attribute(3, uint32),
    ageingTime: attribute(4, uint32),
    stp: attribute(5, uint32),
    priority: attribute(6, uint16),
    /** Off is the beginning, and a kernel without VLANs refuses to hear it. */
    vlanFiltering: attribute(7, unless(uint8, 0)),
    vlanProtocol: attribute(8, netUint16),
    groupForwardMask: attribute(9, uint16),
    groupAddress: attribute(20, mac),
    mcastRouter: attribute(22, uint8),
    mcastSnooping: attribute(23, uint8),
    mcastQueryUseAddress: attribute(24, uint8),
    mcastQuerier: attribute(25, uint8),
    mcastHashMax: attribute(27, uint32),
    mcastLastMemberCount: attribute(28, uint32),
    mcastStartupQueryCount: attribute(29, uint32),
    mcastLastMemberInterval: attribute(30, uint64),
    mcastMembershipInterval: attribute(31, uint64),
    mcastQuerierInterval: attribute(32, uint64),
    mcastQueryInterval: attribute(33, uint64),
    mcastQueryResponseInterval: attribute(34, uint64),
    mcastStartupQueryInterval: attribute(35, uint64),
    callIptables: attribute(36, uint8),
    callIp6tables: attribute(37, uint8),
    callArptables: attribute(38, uint8),
    vlanDefaultPvid: attribute(39, uint16),
    vlanStats: attribute(41, uint8),
    mcastStats: attribute(42, uint8),
    mcastIgmpVersion: attribute(43, uint8),
    mcastMldVersion: attribute(44, uint8),
    vlanStatsPerPort: attribute(45, uint8),
    booleans: attribute(46, maskedBits(settableBooleans)),
    fdbMaxLearned: attribute(49, uint32),
  },
  // Root, identity, timers and counters; the hash's elasticity, which is a constant by now.
  [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 26, 40, 47, 48],
);

/** IFLA_BRPORT_*. */
const port = attributeSet(
  'bridge port',
  {
    priority: attribute(2, uint16),
    cost: attribute(3, uint32),
    hairpin: attribute(4, uint8),
    guard: attribute(5, uint8),
    rootBlock: attribute(6, uint8),
    fastLeave: attribute(7, uint8),
    learning: attribute(8, uint8),
    flood: attribute(9, uint8),
    proxyArp: attribute(10, uint8),
    proxyArpWifi: attribute(12, uint8),
    mcastRouter: attribute(25, uint8),
    mcastFlood: attribute(27, uint8),
    mcastToUnicast: attribute(28, uint8),
    vlanTunnel: attribute(29, uint8),
    broadcastFlood: attribute(30, uint8),
    groupForwardMask: attribute(31, uint16),
    neighbourSuppress: attribute(32, uint8),
    isolated: attribute(33, uint8),
    backupPort: attribute(34, link),
    mcastHostsMax: attribute(37, uint32),
    locked: attribute(39, uint8),
    macAuthenticationBypass: attribute(40, uint8),
    mcastGroupsMax: attribute(42, uint32),
    neighbourVlanSuppress: attribute(43, uint8),
    backupNexthop: attribute(44, uint32),
  },
  // The spanning tree's state and timers, counters, what rings of MRP say.
  [1, 11, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 26, 35, 36, 38, 41],
);

export const bridge: LinkKind = {
  name: 'bridge',
  data,
  // Refused while a port has VLANs, also when nothing changes.
  fixed: ['vlanStatsPerPort'],
  stages,
  compared,
  port,
  latePort: ['backupPort'],
};

/**
 * While its spanning tree changes, the root says a shorter ageing time than it was given
 * (__br_set_topology_change in net/bridge/br_stp.c).
 */
function compared({ ageingTime, ...said }: LinkData): LinkData {
  return said['stp'] === 0 ? { ...said, ageingTime } : said;
}

/**
 * A spanning tree for each VLAN is turned on while there is no VLAN, not even the default one
 * (br_mst_set_enabled in net/bridge/br_mst.c).
 */
function stages(said: LinkData) {
  const { booleans, vlanDefaultPvid } = said;
  if (typeof booleans !== 'number' || (booleans & spanningTreeOfVlans) === 0) {
    return { first: said, last: {} };
  }
  return { first: { ...said, vlanDefaultPvid: 0 }, last: { vlanDefaultPvid } };
}
