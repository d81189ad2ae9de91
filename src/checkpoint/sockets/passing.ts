import { openNetlink } from '../../host/netlink.ts';
import { addressText } from '../../network/address.ts';
import { socketFamilies, socketProtocols, tcpStates } from '../../network/sockets/kinds.ts';
import type { ClosingConnection, Endpoint } from '../../network/switchover/closing.ts';
import { inetAt, listInet } from './diag.ts';

/** TCP connections of a job that none of its processes has a descriptor of: in no image of CRIU. */
export interface PassingConnections {
  /** Handshakes under way, and connections that a listener has and nobody has accepted. */
  readonly opening: number;
  readonly closing: readonly ClosingConnection[];
}

/** Whose: those of a network namespace, or of some addresses of the host's. */
export interface PassingWish {
  readonly netns?: string;
  readonly addresses?: readonly string[];
}

/** Two dumps of sock_diag(7), whose cost is the size of the kernel's table: about a millisecond. */
export function readPassing({ netns, addresses }: PassingWish): PassingConnections {
  const socket = openNetlink('sockDiag', netns);
  const closing: ClosingConnection[] = [];
  let opening = 0;
  try {
    for (const family of [socketFamilies.inet, socketFamilies.inet6]) {
      for (const body of listInet(socket, family, socketProtocols.tcp, passingStates)) {
        const own = endpoint(body, inetAt.local, inetAt.localPort);
        if (addresses !== undefined && !addresses.includes(own.address)) continue;
        const state = body.readUInt8(inetAt.state);
        if (state === tcpStates.listen) opening += body.readUInt32LE(inetAt.receiveQueue);
        else if (state === tcpStates.synReceived) opening += 1;
        else if (body.readUInt32LE(inetAt.inode) === 0) {
          const peer = endpoint(body, inetAt.remote, inetAt.remotePort);
          closing.push({ own, peer, unackedBytes: body.readUInt32LE(inetAt.sendQueue) });
        }
      }
    }
  } finally {
    socket.close();
  }
  return { opening, closing };
}

const { synReceived, finWait1, finWait2, lastAck, closing, listen } = tcpStates;
/** A connection that nobody has accepted can be in none of the states of closing but CLOSE_WAIT. */
const passingStates = [synReceived, finWait1, finWait2, lastAck, closing, listen]
  .map((state) => 1 << state)
  .reduce((all, bit) => all | bit);

const mapped = Buffer.from('00000000000000000000ffff', 'hex');

/** An IPv4 peer of an IPv6 socket is one of IPv4 on the wire. */
function endpoint(body: Buffer, addressAt: number, portAt: number): Endpoint {
  const isSix = body.readUInt8(0) === socketFamilies.inet6;
  const bytes = body.subarray(addressAt, addressAt + (isSix ? 16 : 4));
  const isMapped = isSix && bytes.subarray(0, mapped.length).equals(mapped);
  return {
    address: addressText(isMapped ? bytes.subarray(mapped.length) : bytes),
    port: body.readUInt16BE(portAt),
  };
}
