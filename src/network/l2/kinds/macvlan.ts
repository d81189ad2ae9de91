import { z } from 'zod';
import { attribute, attributeSet, listOf } from '../../netlink/attributes.ts';
import { int32, mac, macSchema, uint16, uint32 } from '../../netlink/codec.ts';
import { compact } from '../compact.ts';
import { l2Limits } from '../limits.ts';
import { choice, reworded } from './codecs.ts';
import type { LinkKind } from './kind.ts';

const modes = { private: 1, vepa: 2, bridge: 4, passthru: 8, source: 16 };
/** enum macvlan_macaddr_mode: the list that follows is all of them. */
const setAddresses = 3;
const addressAttribute = 4;

const attributes = attributeSet(
  'macvlan',
  {
    mode: attribute(1, choice(uint32, modes)),
    flags: attribute(2, uint16),
    addressMode: attribute(3, uint32),
    sources: attribute(5, listOf(mac, l2Limits.sourceAddressesMax, addressAttribute)),
    broadcastQueueLength: attribute(7, uint32),
    broadcastCutoff: attribute(9, int32),
  },
  // How many sources there are, and the longest queue that any device of the parent asked for.
  [6, 8],
);

/** IFLA_MACVLAN_* of include/uapi/linux/if_link.h; the parent is the link's. */
const data = reworded(attributes, {
  schema: z.strictObject({
    mode: choice(uint32, modes).schema.optional(),
    flags: uint16.schema.optional(),
    /** Whose frames are taken in mode source; the kernel has them in a hash. */
    sources: z.array(macSchema).max(l2Limits.sourceAddressesMax).optional(),
    broadcastQueueLength: uint32.schema.optional(),
    broadcastCutoff: int32.schema.optional(),
  }),
  decode: ({ addressMode: _, ...said }) => compact({ ...said, sources: said.sources?.sort() }),
  encode(said) {
    const isSource = said.mode === 'source';
    return {
      ...said,
      ...(isSource ? { addressMode: setAddresses, sources: said.sources ?? [] } : {}),
    };
  },
});

export const macvlan: LinkKind = { name: 'macvlan', data };

export const macvtap: LinkKind = { name: 'macvtap', data };
