import { close } from 'node:fs';
import { MigrateError } from '../base/errors.ts';
import { systemCalls } from './syscalls.ts';

/** A socket on one interface of our network namespace that sends whole link-layer frames. */
export interface PacketSocket {
  /** Sends one frame: destination MAC, source MAC, EtherType, payload; 14 to 65,535 bytes. */
  send(frame: Uint8Array): void;
  /** Returns at once: the kernel waits some 10 ms for packets under way (packet_release). */
  close(): void;
}

const afPacket = 17;
const sockRaw = 3;
const frameBytesMin = 14;
const frameBytesMax = 65_535;

/**
 * Opens an AF_PACKET socket that sends on the interface `ifindex` and receives nothing.
 * Needs CAP_NET_RAW; throws KERNEL. packet(7)
 */
export function openPacketSocket(ifindex: number): PacketSocket {
  const calls = systemCalls();
  // Protocol 0: the kernel hands us no packets, so none pile up in a buffer that nobody reads.
  const fd = calls.socket(afPacket, sockRaw, 0);
  return {
    send(frame) {
      if (frame.length < frameBytesMin || frame.length > frameBytesMax) {
        throw new MigrateError('INTERNAL', `a frame of ${frame.length} bytes`);
      }
      calls.sendTo(fd, Buffer.from(frame), linkLayerAddress(ifindex, frame));
    },
    close() {
      close(fd, () => undefined);
    },
  };
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
