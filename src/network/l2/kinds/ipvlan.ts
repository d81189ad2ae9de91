import { attribute, attributeSet } from '../../netlink/attributes.ts';
import { uint16 } from '../../netlink/codec.ts';
import { choice } from './codecs.ts';
import type { LinkKind } from './kind.ts';

/** IFLA_IPVLAN_* of include/uapi/linux/if_link.h; the mode is shared by all of one parent. */
const data = attributeSet('ipvlan', {
  mode: attribute(1, choice(uint16, { l2: 0, l3: 1, l3s: 2 })),
  /** 1 private, 2 vepa. */
  flags: attribute(2, uint16),
});

export const ipvlan: LinkKind = { name: 'ipvlan', data };

export const ipvtap: LinkKind = { name: 'ipvtap', data };
