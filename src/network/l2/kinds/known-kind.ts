import { z } from 'zod';
import { breath } from '../../../host/clock.ts';
import { openNetlinkInNewNetns } from '../../../host/netlink.ts';
import { attribute, attributeSet, nested } from '../../netlink/attributes.ts';
import { type LinkNames, missingLink, text } from '../../netlink/codec.ts';

const info = attributeSet('kind', { kind: attribute(1, text(z.string())) });
const attributes = attributeSet('link', {
  name: attribute(3, text(z.string())),
  info: attribute(18, nested(info)),
});

const newLink = 16;
/** NLM_F_CREATE and NLM_F_EXCL. */
const createFlags = 0x400 | 0x200;
const headerBytes = 16;
/** In the kernel's words, because tun refuses with the same errno to be made this way. */
const unknownKind = 'Unknown device type';
const noNames: LinkNames = {
  nameOf: () => undefined,
  indexOf(name) {
    throw missingLink(name);
  },
};

/**
 * Those of some kinds of devices that this kernel does not make, their modules loaded if need be.
 * It is asked for one of each without a word about it, in a namespace that is gone afterwards: a
 * kind that it knows is made or refused for what was not said.
 */
export async function unknownKinds(kinds: readonly string[]): Promise<string[]> {
  const socket = openNetlinkInNewNetns('route');
  try {
    const unknown: string[] = [];
    for (const [index, kind] of kinds.entries()) {
      // Each may load a module, which takes a slow host long.
      const [answer] = socket.send([probeOf(kind, index)]);
      if (answer?.reason === unknownKind) unknown.push(kind);
      await breath();
    }
    return unknown;
  } finally {
    socket.close();
  }
}

function probeOf(kind: string, index: number) {
  const values = { name: `probe${index}`, info: { kind } };
  const body = Buffer.concat([Buffer.alloc(headerBytes), attributes.encode(values, noNames)]);
  return { type: newLink, flags: createFlags, body };
}
