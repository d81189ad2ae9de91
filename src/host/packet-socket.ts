import { close } from 'node:fs';
import { MigrateError } from '../base/errors.ts';
import { systemCalls } from './syscalls.ts';

/** A socket on one interface of our network namespace that sends whole link-layer frames. */
export interface PacketSocket {
  /** Sends one frame: destination MAC, source MAC, EtherType, payload; 14 to 65,535 bytes. */
  send(frame: Uint8Array): void;
  /** The next frame that has come, its first bytes; undefined when none waits. */
  receive(): Buffer | undefined;
  /** Returns at once: the kernel waits some 10 ms for packets under way (packet_release). */
  close(): void;
}

const afPacket = 17;
const sockRaw = 3;
const solSocket = 1;
const attachFilter = 26;
const frameBytesMin = 14;
const frameBytesMax = 65_535;

/** Longer frames are cut: what is looked for is in their beginning. */
const receivedBytesMax = 128;

/** What a packet socket listens to. */
export interface PacketFilter {
  readonly etherType: number;
  /** A classic BPF program, 8 bytes an instruction (linux/filter.h, struct sock_filter). */
  readonly program?: Buffer;
}

/**
 * Opens an AF_PACKET socket on the interface `ifindex` that sends and, with `filter`, receives.
 * Needs CAP_NET_RAW; throws KERNEL. packet(7)
 */
export function openPacketSocket(ifindex: number, filter?: PacketFilter): PacketSocket {
  const calls = systemCalls();
  // Protocol 0: the kernel hands us no packets, so none pile up in a buffer that nobody reads.
  const fd = calls.socket(afPacket, sockRaw, 0);
  if (filter !== undefined) listen(fd, ifindex, filter);
  return {
    send(frame) {
      if (frame.length < frameBytesMin || frame.length > frameBytesMax) {
        throw new MigrateError('INTERNAL', `a frame of ${frame.length} bytes`);
      }
      calls.sendTo(fd, Buffer.from(frame), linkLayerAddress(ifindex, frame));
    },
    receive() {
      return calls.receiveIfAny(fd, receivedBytesMax);
    },
    close() {
      close(fd, () => undefined);
    },
  };
}

/** The program comes before the first packet can. */
function listen(fd: number, ifindex: number, { etherType, program }: PacketFilter): void {
  const calls = systemCalls();
  try {
    if (program !== undefined) {
      // struct sock_fprog: how many instructions, and where they are.
      const described = Buffer.alloc(16);
      described.writeUInt16LE(program.length / 8, 0);
      described.writeBigUInt64LE(calls.addressOf(program), 8);
      calls.setSocketOption(fd, solSocket, attachFilter, described);
    }
    const address = Buffer.alloc(20);
    address.writeUInt16LE(afPacket, 0);
    address.writeUInt16BE(etherType, 2);
    address.writeInt32LE(ifindex, 4);
    calls.bind(fd, address);
  } catch (error) {
    close(fd, () => undefined);
    throw error;
  }
}

/** struct sockaddr_ll of linux/if_packet.h: the kernel reads interface, protocol and address. */
function linkLayerAddress(ifindex: number, frame: Uint8Array): Buffer {
  const address = Buffer.alloc(20);
  address.writeUInt16LE(afPacket, 0);
  address.set(frame.subarray(12, 14), 2);
  address.writeInt32LE(ifindex, 4);
  address.writeUInt8(6, 11);
  address.set(frame.subarray(0, 6), 12);
  return address;
}
