import { attribute, attributeSet } from '../../netlink/attributes.ts';
import { flag, netUint16, netUint32, uint8, uint16, uint32 } from '../../netlink/codec.ts';
import { end4, end6, optionalLink } from './codecs.ts';
import type { LinkKind } from './kind.ts';

/** IFLA_GRE_* of include/uapi/linux/if_tunnel.h. */
const common = {
  link: attribute(1, optionalLink),
  inputFlags: attribute(2, netUint16),
  outputFlags: attribute(3, netUint16),
  inputKey: attribute(4, netUint32),
  outputKey: attribute(5, netUint32),
  ttl: attribute(8, uint8),
  encapsulation: attribute(14, uint16),
  encapsulationFlags: attribute(15, uint16),
  encapsulationSourcePort: attribute(16, netUint16),
  encapsulationPort: attribute(17, netUint16),
  metadata: attribute(18, flag),
  mark: attribute(20, uint32),
};

const over4 = {
  ...common,
  local: attribute(6, end4),
  remote: attribute(7, end4),
  tos: attribute(9, uint8),
  pathMtuDiscovery: attribute(10, uint8),
  ignoreDontFragment: attribute(19, uint8),
};

const over6 = {
  ...common,
  local: attribute(6, end6),
  remote: attribute(7, end6),
  encapsulationLimit: attribute(11, uint8),
  flowInfo: attribute(12, netUint32),
  flags: attribute(13, uint32),
};

const spanning = {
  index: attribute(21, uint32),
  version: attribute(22, uint8),
  direction: attribute(23, uint8),
  hardwareId: attribute(24, uint16),
};

const fixed = ['metadata'];

/** Every one of them shows the attributes of spanning where its kernel has them. */
const set4 = attributeSet('gre', { ...over4, ...spanning });
const set6 = attributeSet('ip6gre', { ...over6, ...spanning });

export const greKinds: readonly LinkKind[] = [
  ...['gre', 'gretap', 'erspan'].map((name) => ({ name, data: set4, fixed })),
  ...['ip6gre', 'ip6gretap', 'ip6erspan'].map((name) => ({ name, data: set6, fixed })),
];
