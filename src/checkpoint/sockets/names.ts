import { type SocketKind, socketTypes } from '../../network/sockets/kinds.ts';

/** "an SCTP socket", "a CAN socket"; numbers where there is no name. */
export function nameOfKind({ family, type, protocol }: SocketKind): string {
  const name = family === 2 || family === 10 ? inetName(protocol, type) : familyNames[family];
  if (name === undefined) return `a socket of family ${family}, protocol ${protocol}`;
  return `${/^([AEFHILMNORSX][A-Z]|[AEIO])/.test(name) ? 'an' : 'a'} ${name} socket`;
}

function inetName(protocol: number, type: number): string {
  const ofType = type === socketTypes.seqpacket ? 'IP (SEQPACKET)' : 'IP';
  return protocolNames[protocol] ?? `${ofType} protocol ${protocol}`;
}

/** include/uapi/linux/in.h */
const protocolNames: Readonly<Record<number, string>> = {
  33: 'DCCP',
  115: 'L2TP',
  132: 'SCTP',
  256: 'SMC',
  262: 'MPTCP',
};

/** include/linux/socket.h */
const familyNames: Readonly<Record<number, string>> = {
  3: 'AX.25',
  4: 'IPX',
  5: 'AppleTalk',
  8: 'ATM PVC',
  9: 'X.25',
  15: 'PF_KEY',
  20: 'ATM SVC',
  21: 'RDS',
  24: 'PPPoX',
  27: 'InfiniBand',
  29: 'CAN',
  30: 'TIPC',
  31: 'Bluetooth',
  33: 'RxRPC',
  38: 'AF_ALG',
  39: 'NFC',
  40: 'vsock',
  41: 'KCM',
  42: 'QIPCRTR',
  43: 'SMC',
  44: 'AF_XDP',
  45: 'MCTP',
};
