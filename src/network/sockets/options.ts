import { type SocketKind, socketFamilies, socketProtocols, socketTypes } from './kinds.ts';

/**
 * How an option's bytes are told in a document: a number of 32 bits, a name, a device (whose number
 * differs from host to host), an IPv4 address, or whatever bytes in hex.
 */
export type OptionForm = 'int' | 'text' | 'device' | 'device-network-order' | 'address' | 'bytes';

/** One option of socket(7), ip(7), ipv6(7), tcp(7), udp(7), netlink(7) that CRIU 4.2 forgets. */
export interface SocketOption {
  readonly name: string;
  readonly level: number;
  readonly option: number;
  readonly form: OptionForm;
  /** The kernel takes it only before a connection is made. */
  readonly idleOnly?: true;
}

/** The options that a socket of some kind may have. What a kernel does not know is left out. */
export function socketOptionsOf(kind: SocketKind): readonly SocketOption[] {
  const key = `${kind.family}/${kind.type}/${kind.protocol}`;
  const known = chosen.get(key) ?? choose(kind);
  chosen.set(key, known);
  return known;
}

const chosen = new Map<string, readonly SocketOption[]>();

function choose({ family, type, protocol }: SocketKind): readonly SocketOption[] {
  if (family === socketFamilies.netlink) return netlink;
  if (family === socketFamilies.unix) return [...unix, ...stamps];
  if (family === socketFamilies.packet) return stamps;
  const isSix = family === socketFamilies.inet6;
  if (type === socketTypes.stream) {
    const both = [...everyInet, ...streamIp4, ...(isSix ? [...streamIp6, ...ip4OnSix] : [])];
    return protocol === socketProtocols.tcp ? [...tcp, ...both] : both;
  }
  const datagram = [...everyInet, ...stamps, ...datagramOnly, ...streamIp4, ...datagramIp4];
  const six = isSix ? [...streamIp6, ...datagramIp6, ...ip4OnSix] : [];
  const raw = type === socketTypes.raw && isSix ? rawIp6 : [];
  if (type === socketTypes.raw) return [...datagram, ...six, ...raw];
  const lite = protocol === socketProtocols.udplite ? udplite : [];
  return [...datagram, ...six, ...udp, ...lite];
}

type Row = readonly [name: string, option: number, form?: OptionForm, when?: 'idle'];

function table(level: number, ...rows: readonly Row[]): readonly SocketOption[] {
  return rows.map(([name, option, form = 'int', when]) => ({
    name,
    level,
    option,
    form,
    ...(when === undefined ? {} : { idleOnly: true as const }),
  }));
}

/** include/uapi/asm-generic/socket.h */
const everyInet = table(
  1,
  ['so-busy-poll', 46],
  ['so-max-pacing-rate', 47],
  ['so-zerocopy', 60],
  ['so-timestamping', 37],
  ['so-lock-filter', 44],
);

const stamps = table(
  1,
  ['so-timestamp', 29],
  ['so-timestampns', 35],
  ['so-timestamp-new', 63],
  ['so-timestampns-new', 64],
);

const datagramOnly = table(
  1,
  ['so-rxq-ovfl', 40],
  ['so-select-err-queue', 45],
  ['so-peek-off', 42],
  ['so-prefer-busy-poll', 69],
  ['so-rcvmark', 75],
);

const unix = table(1, ['so-peek-off', 42], ['so-passpidfd', 76]);

/** include/uapi/linux/in.h */
const streamIp4 = table(
  0,
  ['ip-options', 4, 'bytes'],
  ['ip-mtu-discover', 10],
  ['ip-recverr', 11],
  ['ip-transparent', 19],
  ['ip-minttl', 21],
  ['ip-bind-address-no-port', 24],
  ['ip-local-port-range', 51],
  ['ip-unicast-if', 50, 'device-network-order'],
);

const datagramIp4 = table(
  0,
  ['ip-recvopts', 6],
  ['ip-retopts', 7],
  ['ip-recvttl', 12],
  ['ip-recvtos', 13],
  ['ip-passsec', 18],
  ['ip-recvorigdstaddr', 20],
  ['ip-checksum', 23],
  ['ip-recvfragsize', 25],
  ['ip-recverr-rfc4884', 26],
  ['ip-multicast-if', 32, 'address'],
  ['ip-multicast-ttl', 33],
  ['ip-multicast-loop', 34],
  ['ip-multicast-all', 49],
);

/** CRIU keeps these for IPv4 sockets alone; a dual-stack socket has them for its IPv4 side. */
const ip4OnSix = table(0, ['ip-tos', 1], ['ip-ttl', 2]);

/** include/uapi/linux/in6.h */
const streamIp6 = table(
  41,
  ['ipv6-unicast-hops', 16],
  ['ipv6-mtu-discover', 23],
  ['ipv6-recverr', 25],
  ['ipv6-flowinfo-send', 33],
  ['ipv6-tclass', 67],
  ['ipv6-autoflowlabel', 70],
  ['ipv6-addr-preferences', 72],
  ['ipv6-minhopcount', 73],
  ['ipv6-transparent', 75],
  ['ipv6-unicast-if', 76, 'device-network-order'],
);

const datagramIp6 = table(
  41,
  ['ipv6-2292pktinfo', 2],
  ['ipv6-2292hoplimit', 8],
  ['ipv6-multicast-if', 17, 'device'],
  ['ipv6-multicast-hops', 18],
  ['ipv6-multicast-loop', 19],
  ['ipv6-multicast-all', 29],
  ['ipv6-recverr-rfc4884', 31],
  ['ipv6-recvhoplimit', 51],
  ['ipv6-recvhopopts', 53],
  ['ipv6-recvrthdr', 56],
  ['ipv6-recvdstopts', 58],
  ['ipv6-recvpathmtu', 60],
  ['ipv6-dontfrag', 62],
  ['ipv6-recvtclass', 66],
  ['ipv6-recvorigdstaddr', 74],
  ['ipv6-recvfragsize', 77],
);

const rawIp6 = table(255, ['ipv6-checksum', 7]);

/** include/uapi/linux/tcp.h. What moves with a connection by itself is not here: TCP_QUICKACK. */
const tcp = table(
  6,
  ['tcp-congestion', 13, 'text'],
  ['tcp-user-timeout', 18],
  ['tcp-notsent-lowat', 25],
  ['tcp-fastopen', 23, 'int', 'idle'],
  ['tcp-fastopen-connect', 30, 'int', 'idle'],
  ['tcp-fastopen-no-cookie', 34, 'int', 'idle'],
  ['tcp-defer-accept', 9, 'int', 'idle'],
  ['tcp-syncnt', 7],
  ['tcp-linger2', 8],
  ['tcp-thin-linear-timeouts', 16],
  ['tcp-save-syn', 27, 'int', 'idle'],
  ['tcp-inq', 36],
  ['tcp-tx-delay', 37],
  ['tcp-rto-max-ms', 44],
  ['tcp-rto-min-us', 45],
  ['tcp-delack-max-us', 46],
);

/** include/uapi/linux/udp.h */
const udp = table(
  17,
  ['udp-encap', 100],
  ['udp-no-check6-tx', 101],
  ['udp-no-check6-rx', 102],
  ['udp-segment', 103],
  ['udp-gro', 104],
);

const udplite = table(136, ['udplite-send-cscov', 10], ['udplite-recv-cscov', 11]);

/** include/uapi/linux/netlink.h */
const netlink = table(
  270,
  ['netlink-pktinfo', 3],
  ['netlink-broadcast-error', 4],
  ['netlink-no-enobufs', 5],
  ['netlink-listen-all-nsid', 8],
  ['netlink-cap-ack', 10],
  ['netlink-ext-ack', 11],
  ['netlink-get-strict-chk', 12],
);
