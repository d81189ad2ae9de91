import { openSpace } from '../netlink/space.ts';
import { addresses } from './objects/addresses.ts';
import { readLinks } from './objects/link-read.ts';

/** How a namespace is reached: its device towards the host, and its addresses. */
export interface WayOut {
  /** `lo` where nothing leads out. */
  readonly device: string;
  /** Of a veth pair, the host's end. */
  readonly hostEnd?: string;
  /** Global addresses of the devices that lead out, as ADDR/LEN. */
  readonly ip: readonly string[];
}

const globalScope = 0;

/** Looks which devices of a namespace hang on the host; a veth pair goes before others. */
export function wayOut(netns: string): WayOut {
  const inside = openSpace(netns);
  const host = openSpace('/proc/self/ns/net');
  try {
    const reading = { names: inside.names, unknown: new Set<string>() };
    const outer = readLinks(inside, reading).filter(({ link }) => link.outside === true);
    const first = outer.find(({ link }) => link.kind === 'veth') ?? outer[0];
    const names = new Set(outer.map(({ link }) => link.name));
    const hostEnd = first?.link.kind === 'veth' ? host.names.nameOf(first.lower ?? 0) : undefined;
    return {
      device: first?.link.name ?? 'lo',
      ...(hostEnd === undefined ? {} : { hostEnd }),
      ip: addresses
        .read(inside, reading)
        .filter(({ link, scope }) => names.has(link) && scope === globalScope)
        .map(({ address, prefixLength }) => `${address}/${prefixLength}`),
    };
  } finally {
    inside.close();
    host.close();
  }
}
