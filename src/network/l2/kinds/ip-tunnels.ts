import { attribute, attributeSet } from '../../netlink/attributes.ts';
import {
  address4,
  address6,
  flag,
  netUint16,
  netUint32,
  uint8,
  uint16,
  uint32,
} from '../../netlink/codec.ts';
import { end4, end6, optionalLink } from './codecs.ts';
import type { LinkKind } from './kind.ts';

/** Foo-over-UDP and its like: IFLA_IPTUN_ENCAP_*. */
const encapsulation = {
  encapsulation: attribute(15, uint16),
  encapsulationFlags: attribute(16, uint16),
  encapsulationSourcePort: attribute(17, netUint16),
  encapsulationPort: attribute(18, netUint16),
};

/** IFLA_IPTUN_* of include/uapi/linux/if_tunnel.h that all of them have. */
const common = {
  link: attribute(1, optionalLink),
  ttl: attribute(4, uint8),
  tos: attribute(5, uint8),
  protocol: attribute(9, uint8),
  pathMtuDiscovery: attribute(10, uint8),
  ...encapsulation,
  metadata: attribute(19, flag),
  mark: attribute(20, uint32),
};

const ends4 = { local: attribute(2, end4), remote: attribute(3, end4) };
const ends6 = { local: attribute(2, end6), remote: attribute(3, end6) };

const kind = (name: string, data: NonNullable<LinkKind['data']>): LinkKind => ({
  name,
  data,
  fixed: ['metadata'],
});

export const ipip = kind('ipip', attributeSet('ipip', { ...common, ...ends4 }));

export const ip6tnl = kind(
  'ip6tnl',
  attributeSet('ip6tnl', {
    ...common,
    ...ends6,
    encapsulationLimit: attribute(6, uint8),
    flowInfo: attribute(7, netUint32),
    flags: attribute(8, uint32),
  }),
);

export const sit = kind(
  'sit',
  attributeSet('sit', {
    ...common,
    ...ends4,
    /** SIT_ISATAP. */
    flags: attribute(8, netUint16),
    rapidPrefix: attribute(11, address6),
    rapidRelayPrefix: attribute(12, address4),
    rapidPrefixLength: attribute(13, uint16),
    rapidRelayPrefixLength: attribute(14, uint16),
  }),
);
