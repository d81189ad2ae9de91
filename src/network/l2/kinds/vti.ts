import { attribute, attributeSet } from '../../netlink/attributes.ts';
import { netUint32, uint32 } from '../../netlink/codec.ts';
import { end4, end6, optionalLink } from './codecs.ts';
import type { LinkKind } from './kind.ts';

/** IFLA_VTI_* of include/uapi/linux/if_tunnel.h. */
const common = {
  link: attribute(1, optionalLink),
  inputKey: attribute(2, netUint32),
  outputKey: attribute(3, netUint32),
  mark: attribute(6, uint32),
};

export const vti: LinkKind = {
  name: 'vti',
  data: attributeSet('vti', {
    ...common,
    local: attribute(4, end4),
    remote: attribute(5, end4),
  }),
};

export const vti6: LinkKind = {
  name: 'vti6',
  data: attributeSet('vti6', {
    ...common,
    local: attribute(4, end6),
    remote: attribute(5, end6),
  }),
};
