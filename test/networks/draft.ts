import type { Dice } from './dice.ts';

/** A device of a namespace that is being drawn up. */
export interface DraftLink {
  readonly name: string;
  readonly kind: string;
  mtu: number;
  up: boolean;
  /** Something could take its frames. */
  hasCarrier: boolean;
  /** How many devices are below it. */
  readonly depth: number;
  /** Frames with Ethernet headers. */
  readonly isEthernet: boolean;
  /** Something above it takes all its frames: `port`, `macvlan`, `ipvlan MODE`. */
  taken?: string;
  /** Devices are on top of it. */
  isParent?: boolean;
  master?: DraftLink;
  /** Of a tunnel: what it goes over. */
  readonly overFamily?: 4 | 6;
  /** Of a VRF. */
  table?: number;
  /** Of a bridge: it has an MDB. */
  knowsGroups?: boolean;
  /** Of a bridge. */
  filtersVlans?: boolean;
  /** Of a bridge: its ports are in no VLAN of themselves. */
  lacksVlan?: boolean;
  /** Of a port: it was put into a VLAN. */
  hasVlan?: boolean;
  /** IPv6 has left it, because its MTU is too small. */
  hasIpv6: boolean;
}

export interface DraftAddress {
  readonly link: DraftLink;
  readonly family: 4 | 6;
  /** `10.1.0` or `fd00:1:`, to be followed by `.` or `:` and a host. */
  readonly subnet: string;
  readonly address: string;
  /** The kernel made a route to its subnet, which packets can take. */
  hasRoute: boolean;
  /** Packets can leave from it at once. */
  readonly isUsable: boolean;
  readonly isGlobal: boolean;
}

/** A namespace that is being drawn up: what it has by now, and the lines that make it. */
export interface Draft {
  readonly lines: string[];
  /** Rules come last, because one that refuses packets refuses gateways as well. */
  readonly lastLines: string[];
  readonly links: DraftLink[];
  readonly addresses: DraftAddress[];
  readonly nexthops: { readonly id: number; readonly family: 4 | 6; readonly isGroup: boolean }[];
  /** What this kernel and its tools have. */
  has(feature: string): boolean;
  /** A number that nothing else of the namespace has; it starts at 1. */
  next(of: string): number;
}

const outside = { up: true, hasCarrier: true, depth: 0, hasIpv6: true };

export type Rule = (draft: Draft, dice: Dice) => void;

export function newDraft(features: ReadonlySet<string>): Draft {
  const numbers = new Map<string, number>();
  return {
    lines: [],
    lastLines: [],
    links: [
      { ...outside, name: 'lo', kind: 'lo', mtu: 65_536, isEthernet: false },
      { ...outside, name: 'eth0', kind: 'veth', mtu: 1500, isEthernet: true },
    ],
    addresses: [],
    nexthops: [],
    has: (feature) => features.has(feature),
    next(of) {
      const number = (numbers.get(of) ?? 0) + 1;
      numbers.set(of, number);
      return number;
    },
  };
}

/** Names of every shape: with dots, signs, and as long as they may be. */
const shapes = [
  (kind: string, at: number) => `${kind}${at}`,
  (kind: string, at: number) => `${kind}.${at}`,
  (kind: string, at: number) => `${kind}-x_${at}+@`,
  (kind: string, at: number) => `${kind}${at}-as-long-as-can-be`.slice(0, longestName),
];
const longestName = 15;

export function nameFor(draft: Draft, dice: Dice, kind: string): string {
  const short = kind.replace(/^ip6?/, (start) => start.slice(0, 3)).slice(0, 8);
  return dice.pick(shapes)(short, draft.next('link'));
}

export function macFor(draft: Draft): string {
  const number = draft.next('mac');
  return `02:00:00:00:${(number >> 8).toString(16).padStart(2, '0')}:${(number & 255).toString(16).padStart(2, '0')}`;
}

/** Notes a device, and gives it some of what any device can have. */
export function addLink(
  draft: Draft,
  dice: Dice,
  link: Omit<DraftLink, 'up' | 'hasCarrier' | 'hasIpv6' | 'mtu'> & {
    readonly mtu?: number;
    readonly mtuMax?: number;
  },
): DraftLink {
  const { mtuMax, ...rest } = link;
  const made: DraftLink = {
    mtu: mtuMax ?? 1500,
    ...rest,
    up: false,
    hasCarrier: false,
    hasIpv6: true,
  };
  const { name } = made;
  draft.links.push(made);
  if (mtuMax !== undefined && dice.maybe(3)) {
    made.mtu = dice.pick([1400, 1280, 9000, 1000].filter((mtu) => mtu <= mtuMax).concat(mtuMax));
    draft.lines.push(`ip link set dev ${name} mtu ${made.mtu}`);
  }
  made.hasIpv6 = made.mtu >= 1280;
  const words = dice.some(
    [`txqueuelen ${1 + dice.below(5000)}`, `group ${1 + dice.below(9)}`, `alias is-${name}`],
    4,
  );
  if (words !== '') draft.lines.push(`ip link set dev ${name}${words}`);
  const flags = dice.some(['promisc on', 'allmulticast on', 'multicast off'], 12);
  if (flags !== '') draft.lines.push(`ip link set dev ${name}${flags}`);
  if (dice.maybe(5)) {
    draft.lines.push(`ip link property add dev ${name} altname a-longer-name-of-${name}`);
  }
  if (dice.maybe(6) && made.hasIpv6) {
    draft.lines.push(`ip link set dev ${name} addrgenmode ${dice.pick(['none', 'random'])}`);
  }
  return made;
}

/** Most devices are up, if what they stand on is. */
export function raise(draft: Draft, dice: Dice, link: DraftLink, below?: DraftLink): void {
  if (below?.up === false || dice.maybe(6)) return;
  draft.lines.push(`ip link set dev ${link.name} up`);
  link.up = true;
  link.hasCarrier = below?.hasCarrier ?? !/^(veth|tun|bridge|bond)$/.test(link.kind);
}

/** Devices that something can be put on top of, or into. */
export function lowers(draft: Draft): DraftLink[] {
  return draft.links.filter(({ isEthernet, depth }) => isEthernet && depth < depthMax);
}

/** Devices that can still become ports. */
export function freePorts(draft: Draft): DraftLink[] {
  return draft.links.filter(
    ({ isEthernet, taken, master, isParent, name }) =>
      isEthernet && taken === undefined && master === undefined && !isParent && name !== 'eth0',
  );
}

const depthMax = 4;
