import { attribute, attributeSet, listOf } from '../../netlink/attributes.ts';
import {
  address4,
  address6,
  int32,
  link,
  mac,
  uint8,
  uint16,
  uint32,
} from '../../netlink/codec.ts';
import { l2Limits } from '../limits.ts';
import { apart, choice, reworded, unless } from './codecs.ts';
import type { LinkData, LinkKind } from './kind.ts';

const modes = {
  'balance-rr': 0,
  'active-backup': 1,
  'balance-xor': 2,
  broadcast: 3,
  '802.3ad': 4,
  'balance-tlb': 5,
  'balance-alb': 6,
};
type Mode = keyof typeof modes;

const noAddress = '00:00:00:00:00:00';
const usualPortPriority = 255;

/** IFLA_BOND_* of include/uapi/linux/if_link.h. Times are in milliseconds. */
const attributes = attributeSet(
  'bond',
  {
    mode: attribute(1, choice(uint8, modes)),
    activePort: attribute(2, link),
    miimon: attribute(3, uint32),
    upDelay: attribute(4, uint32),
    downDelay: attribute(5, uint32),
    useCarrier: attribute(6, uint8),
    arpInterval: attribute(7, uint32),
    arpTargets: attribute(8, listOf(address4, l2Limits.bondTargetsMax)),
    arpValidate: attribute(9, uint32),
    arpAllTargets: attribute(10, uint32),
    primary: attribute(11, link),
    primaryReselect: attribute(12, uint8),
    failOverMac: attribute(13, uint8),
    hashPolicy: attribute(14, uint8),
    resendIgmp: attribute(15, uint32),
    peerNotifications: attribute(16, uint8),
    allPortsActive: attribute(17, uint8),
    minLinks: attribute(18, uint32),
    learningPacketInterval: attribute(19, uint32),
    packetsPerPort: attribute(20, uint32),
    lacpRate: attribute(21, uint8),
    adSelect: attribute(22, uint8),
    actorSystemPriority: attribute(24, uint16),
    userPortKey: attribute(25, uint16),
    actorSystem: attribute(26, unless(mac, noAddress)),
    dynamicLoadBalancing: attribute(27, uint8),
    peerNotificationDelay: attribute(28, uint32),
    lacpActive: attribute(29, uint8),
    missedMax: attribute(30, uint8),
    targets6: attribute(31, listOf(address6, l2Limits.bondTargetsMax)),
    coupledControl: attribute(32, uint8),
  },
  // What the partners of an aggregation say.
  [23],
);

/**
 * The modes in which the kernel takes an option, whatever its value (`unsuppmodes` in
 * drivers/net/bonding/bond_options.c); it tells all of them in every mode.
 */
const choosing: readonly Mode[] = ['active-backup', 'balance-tlb', 'balance-alb'];
const probing: readonly Mode[] = ['balance-rr', 'active-backup', 'balance-xor', 'broadcast'];
const modesOf: Readonly<Record<string, readonly Mode[]>> = {
  activePort: choosing,
  primary: choosing,
  arpInterval: probing,
  arpValidate: probing,
  missedMax: probing,
  packetsPerPort: ['balance-rr'],
  dynamicLoadBalancing: ['balance-tlb'],
  lacpRate: ['802.3ad'],
  lacpActive: ['802.3ad'],
  coupledControl: ['802.3ad'],
  actorSystemPriority: ['802.3ad'],
  userPortKey: ['802.3ad'],
  actorSystem: ['802.3ad'],
};
/** Refused without MII monitoring, of whose interval they are multiples. */
const needMiimon = ['upDelay', 'downDelay', 'peerNotificationDelay'];

const data = reworded(attributes, {
  schema: attributes.schema,
  decode(told) {
    const kept = Object.entries(told).filter(([key]) => {
      if (needMiimon.includes(key)) return (told.miimon ?? 0) > 0;
      return modesOf[key]?.includes(told.mode as Mode) ?? true;
    });
    return Object.fromEntries(kept);
  },
  encode: (said) => said,
});

/** IFLA_BOND_SLAVE_*: all else is what the port found out. */
const port = attributeSet(
  'bond port',
  {
    queueId: attribute(5, uint16),
    priority: attribute(9, unless(int32, 0)),
    actorPortPriority: attribute(10, unless(uint16, usualPortPriority)),
  },
  [1, 2, 3, 4, 6, 7, 8, 11, 12],
);

export const bond: LinkKind = {
  name: 'bond',
  data: data as NonNullable<LinkKind['data']>,
  fixed: ['mode'],
  stages: (said) => apart(said, ['primary', 'activePort']),
  compared,
  port,
};

/** Which port is active follows from which have a carrier. */
function compared({ activePort: _, ...said }: LinkData): LinkData {
  return said;
}
