import { isIPv4 } from 'node:net';
import { z } from 'zod';
import { attribute, attributeSet } from '../../netlink/attributes.ts';
import {
  address4,
  address6,
  addressSchema,
  flag,
  netUint16,
  netUint32,
  uint8,
  uint32,
} from '../../netlink/codec.ts';
import { compact } from '../compact.ts';
import { optionalLink, portRange, presence, reworded, unless } from './codecs.ts';
import type { LinkKind } from './kind.ts';

/** IFLA_VXLAN_* of include/uapi/linux/if_link.h. */
const table = {
  id: attribute(1, uint32),
  group4: attribute(2, address4),
  link: attribute(3, optionalLink),
  local4: attribute(4, address4),
  ttl: attribute(5, uint8),
  tos: attribute(6, uint8),
  learning: attribute(7, uint8),
  /** Seconds. */
  ageing: attribute(8, uint32),
  addressesMax: attribute(9, uint32),
  portRange: attribute(10, portRange),
  proxy: attribute(11, uint8),
  routeShortCircuit: attribute(12, uint8),
  l2miss: attribute(13, uint8),
  l3miss: attribute(14, uint8),
  port: attribute(15, netUint16),
  group6: attribute(16, address6),
  local6: attribute(17, address6),
  udpChecksum: attribute(18, uint8),
  zeroChecksum6Tx: attribute(19, uint8),
  zeroChecksum6Rx: attribute(20, uint8),
  remoteChecksumTx: attribute(21, uint8),
  remoteChecksumRx: attribute(22, uint8),
  groupPolicy: attribute(23, flag),
  remoteChecksumNoPartial: attribute(24, flag),
  metadata: attribute(25, uint8),
  flowLabel: attribute(26, netUint32),
  genericProtocol: attribute(27, flag),
  ttlInherit: attribute(28, presence),
  dontFragment: attribute(29, uint8),
  vniFilter: attribute(30, unless(uint8, 0)),
  localBypass: attribute(31, unless(uint8, 1)),
  flowLabelPolicy: attribute(32, unless(uint32, 0)),
  multicastRoute: attribute(34, unless(uint8, 0)),
};

const filterHint = 'its list (bridge vni) is not carried: make a device for each network instead';

/** Reserved bits follow from the other options unless somebody says them, which ip(8) cannot. */
const attributes = attributeSet('vxlan', table, [33]);

const { group4: _g4, group6: _g6, local4: _l4, local6: _l6, ...others } = table;

const data = reworded(attributes, {
  schema: z.strictObject({
    ...Object.fromEntries(
      Object.entries(others).map(([name, { codec }]) => [name, codec.schema.optional()]),
    ),
    /** A multicast group, or one remote end. */
    group: addressSchema.optional(),
    local: addressSchema.optional(),
  }),
  decode({ group4, group6, local4, local6, ...told }): Said {
    const group = group4 ?? group6;
    const local = local4 ?? local6;
    return { ...told, ...compact({ group, local }) };
  },
  encode({ group, local, ...said }: Said) {
    return { ...said, ...ofFamily('group', group), ...ofFamily('local', local) };
  },
});

type Said = { readonly [key: string]: unknown; group?: string; local?: string };

export const vxlan: LinkKind = {
  name: 'vxlan',
  data,
  problem: ({ vniFilter }) =>
    vniFilter === undefined ? undefined : { message: 'filters by network', hint: filterHint },
  fixed: Object.keys(others).filter(
    (key) => !['link', 'ttl', 'tos', 'learning', 'ageing'].includes(key),
  ),
};

function ofFamily(key: 'group' | 'local', value: string | undefined) {
  return value === undefined ? {} : { [`${key}${isIPv4(value) ? 4 : 6}`]: value };
}
