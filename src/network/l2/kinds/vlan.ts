import { z } from 'zod';
import { attribute, attributeSet, listOf } from '../../netlink/attributes.ts';
import { type Codec, netUint16, uint16, uint32, uint32Schema } from '../../netlink/codec.ts';
import { l2Limits } from '../limits.ts';
import { maskedBits, reworded } from './codecs.ts';
import type { LinkKind } from './kind.ts';

/** VLAN_FLAG_* of include/uapi/linux/if_vlan.h: reorder, gvrp, loose, mvrp, bridge binding. */
const flagMask = 0x1f;

/** struct ifla_vlan_qos_mapping: of a packet's priority and that of its tag. */
const mapping: Codec<{ from: number; to: number }> = {
  schema: z.strictObject({ from: uint32Schema, to: uint32Schema }),
  decode: (bytes) => ({ from: bytes.readUInt32LE(0), to: bytes.readUInt32LE(4) }),
  encode: ({ from, to }, names) =>
    Buffer.concat([uint32.encode(from, names), uint32.encode(to, names)]),
};

/** IFLA_VLAN_* of include/uapi/linux/if_link.h; the parent is the link's. */
const attributes = attributeSet('vlan', {
  id: attribute(1, uint16),
  flags: attribute(2, maskedBits(flagMask)),
  egress: attribute(3, mappings()),
  ingress: attribute(4, mappings()),
  protocol: attribute(5, netUint16),
});

/** The kernel says nothing of flags where none is set, and sets one on a device that is made so. */
const data = reworded(attributes, {
  schema: attributes.schema,
  decode: (told) => ({ flags: 0, ...told }),
  encode: (said) => said,
});

export const vlan: LinkKind = { name: 'vlan', data, fixed: ['id', 'protocol'] };

/** Egress mappings stand in hash chains, the newest in front. */
function mappings(): Codec<{ from: number; to: number }[]> {
  const list = listOf(mapping, l2Limits.vlanPrioritiesMax);
  return {
    ...list,
    decode: (bytes, reading) =>
      list.decode(bytes, reading).sort((one, other) => one.from - other.from),
  };
}
