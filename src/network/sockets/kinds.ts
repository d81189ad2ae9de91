/** What socket(2) is called with: SO_DOMAIN, SO_TYPE and SO_PROTOCOL of a socket. */
export interface SocketKind {
  readonly family: number;
  readonly type: number;
  readonly protocol: number;
}

/** include/linux/socket.h */
export const socketFamilies = { unix: 1, inet: 2, inet6: 10, netlink: 16, packet: 17 } as const;

/** include/linux/net.h */
export const socketTypes = { stream: 1, dgram: 2, raw: 3, seqpacket: 5 } as const;

/** include/uapi/linux/in.h */
export const socketProtocols = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  icmpv6: 58,
  udplite: 136,
  mptcp: 262,
} as const;

/** include/net/tcp_states.h; other protocols borrow them. */
export const tcpStates = {
  established: 1,
  synSent: 2,
  synReceived: 3,
  finWait1: 4,
  finWait2: 5,
  close: 7,
  lastAck: 9,
  listen: 10,
  closing: 11,
} as const;
