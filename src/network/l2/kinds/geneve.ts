import { attribute, attributeSet } from '../../netlink/attributes.ts';
import {
  address4,
  address6,
  flag,
  netUint16,
  netUint32,
  uint8,
  uint32,
} from '../../netlink/codec.ts';
import { portRange, unless } from './codecs.ts';
import type { LinkKind } from './kind.ts';

const everyPort = { first: 1, last: 0xffff };

/** IFLA_GENEVE_* of include/uapi/linux/if_link.h. */
const data = attributeSet('geneve', {
  id: attribute(1, uint32),
  remote: attribute(2, address4),
  ttl: attribute(3, uint8),
  tos: attribute(4, uint8),
  port: attribute(5, netUint16),
  metadata: attribute(6, flag),
  remote6: attribute(7, address6),
  udpChecksum: attribute(8, uint8),
  zeroChecksum6Tx: attribute(9, uint8),
  zeroChecksum6Rx: attribute(10, uint8),
  flowLabel: attribute(11, netUint32),
  /** Taking a 0 sets the time to live to 0, too. */
  ttlInherit: attribute(12, unless(uint8, 0)),
  dontFragment: attribute(13, uint8),
  innerProtocol: attribute(14, flag),
  portRange: attribute(15, unless(portRange, everyPort)),
});

export const geneve: LinkKind = {
  name: 'geneve',
  data,
  // Hearing of the IPv6 end again turns checksums on, and they cannot be turned off afterwards.
  fixed: [
    ...['id', 'port', 'metadata', 'udpChecksum', 'zeroChecksum6Tx', 'zeroChecksum6Rx'],
    ...['innerProtocol', 'portRange', 'remote6'],
  ],
};
