import { attribute, attributeSet } from '../../netlink/attributes.ts';
import { uint32 } from '../../netlink/codec.ts';
import type { LinkKind } from './kind.ts';

/** IFLA_VRF_* of include/uapi/linux/if_link.h; a port only repeats its master's table. */
export const vrf: LinkKind = {
  name: 'vrf',
  data: attributeSet('vrf', { table: attribute(1, uint32) }),
  fixed: ['table'],
};
