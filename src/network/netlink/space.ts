import { type NetlinkFamily, type NetlinkSocket, openNetlink } from '../../host/netlink.ts';
import { findAttribute } from './attributes.ts';
import { type LinkNames, missingLink } from './codec.ts';

/** A network namespace that is spoken to by netlink: a socket a family, opened when first used. */
export interface NetlinkSpace {
  /** The file of the namespace. */
  readonly path: string;
  readonly names: LinkNames;
  socket(family: NetlinkFamily): NetlinkSocket;
  /** Reads again which devices there are; to be called after some were made. */
  refreshNames(): void;
  close(): void;
}

const getLink = 18;
const infoHeaderBytes = 16;
const nameAttribute = 3;

/** Opens a namespace by its file: /run/netns/NAME or /proc/PID/ns/net. Throws KERNEL. */
export function openSpace(path: string): NetlinkSpace {
  const sockets = new Map<NetlinkFamily, NetlinkSocket>();
  let names: ReadonlyMap<number, string> | undefined;
  let numbers: ReadonlyMap<string, number> = new Map();

  function socket(family: NetlinkFamily): NetlinkSocket {
    const open = sockets.get(family) ?? openNetlink(family, path);
    sockets.set(family, open);
    return open;
  }

  function read(): ReadonlyMap<number, string> {
    const body = Buffer.alloc(infoHeaderBytes);
    const links = socket('route').dump({ type: getLink, body }, 'list of devices');
    const found = new Map<number, string>();
    for (const message of links) {
      const name = findAttribute(message.body.subarray(infoHeaderBytes), nameAttribute);
      const index = message.body.readInt32LE(4);
      if (name !== undefined) found.set(index, name.toString('utf8').replace(/\0.*$/s, ''));
    }
    names = found;
    numbers = new Map([...found].map(([index, name]) => [name, index]));
    return found;
  }

  return {
    path,
    socket,
    names: {
      nameOf: (index) => (names ?? read()).get(index),
      indexOf(name) {
        if (names === undefined) read();
        const index = numbers.get(name);
        if (index === undefined) throw missingLink(name);
        return index;
      },
    },
    refreshNames() {
      names = undefined;
    },
    close() {
      for (const open of sockets.values()) open.close();
      sockets.clear();
    },
  };
}
