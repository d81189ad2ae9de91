import { isIPv4 } from 'node:net';
import { sleepMs } from '../../host/clock.ts';
import { openDeviceSocket } from '../../host/netns.ts';
import type { PacketFilter, PacketSocket } from '../../host/packet-socket.ts';
import { addressBytes, ofFamily } from '../address.ts';
import { broadcastMac, icmpChecksum, macBytes } from './frames.ts';

/**
 * How long somebody may take to say that an address is his. RFC 5227 waits for seconds, for
 * networks that are just coming up and hosts that sleep; ours are up, and a kernel answers within a
 * millisecond, an emulated one within twenty.
 */
const waitMs = 100;
/** A lost frame must not look like silence. */
const probes = 3;
const probeStepMs = 25;
const pollStepMs = 5;
/** Frames that are looked at between two waits: a storm must not keep us here. */
const framesMax = 500;

export interface Holder {
  readonly address: string;
  readonly mac: string;
}

/**
 * Asks the network of a device who has any of the addresses, without telling anybody that they
 * might be ours: ARP probes (RFC 5227, 2.1.1) and the solicitations of duplicate address detection
 * (RFC 4862, 5.4.2). Resolves to those that somebody else answered for.
 */
export async function probeAddresses(
  { device, mac }: { readonly device: string; readonly mac: string },
  addresses: readonly string[],
): Promise<Holder[]> {
  const families = ([4, 6] as const).filter((family) => ofFamily(addresses, family).length > 0);
  const sockets: PacketSocket[] = [];
  const holders = new Map<string, Holder>();
  try {
    for (const family of families) {
      sockets.push(openDeviceSocket(device, undefined, listenFor[family]));
    }
    for (let elapsed = 0; elapsed < waitMs; elapsed += pollStepMs) {
      if (elapsed % probeStepMs === 0 && elapsed / probeStepMs < probes) {
        for (const address of addresses) sockets[0]?.send(probeFrame(address, mac));
      }
      await sleepMs(pollStepMs);
      for (const socket of sockets) {
        for (let left = framesMax; left > 0; left -= 1) {
          const frame = socket.receive();
          if (frame === undefined) break;
          const holder = holderIn(frame, addresses);
          if (holder !== undefined && holder.mac !== mac) holders.set(holder.address, holder);
        }
      }
    }
  } finally {
    for (const socket of sockets) socket.close();
  }
  return [...holders.values()];
}

const etherTypes = { arp: 0x0806, ipv6: 0x86dd } as const;

/** Of all IPv6 only neighbour advertisements: next header 58, type 136, none behind options. */
const listenFor: Readonly<Record<4 | 6, PacketFilter>> = {
  4: { etherType: etherTypes.arp },
  6: {
    etherType: etherTypes.ipv6,
    program: Buffer.concat(
      [
        [0x30, 0, 0, 20],
        [0x15, 0, 3, 58],
        [0x30, 0, 0, 54],
        [0x15, 0, 1, 136],
        [0x06, 0, 0, 0xffff],
        [0x06, 0, 0, 0],
      ].map(([code = 0, ifTrue = 0, ifFalse = 0, value = 0]) => {
        const instruction = Buffer.alloc(8);
        instruction.writeUInt16LE(code, 0);
        instruction.writeUInt8(ifTrue, 2);
        instruction.writeUInt8(ifFalse, 3);
        instruction.writeUInt32LE(value, 4);
        return instruction;
      }),
    ),
  },
};

function probeFrame(address: string, mac: string): Buffer {
  return isIPv4(address) ? arpProbe(address, mac) : solicitation(address, mac);
}

/** A request whose sender has no address yet, so that nobody's cache learns from it. */
function arpProbe(address: string, mac: string): Buffer {
  return Buffer.concat([
    broadcastMac,
    macBytes(mac),
    Buffer.from('0806' + '0001' + '0800' + '0604' + '0001', 'hex'),
    macBytes(mac),
    Buffer.alloc(4 + 6),
    addressBytes(address),
  ]);
}

/** From the unspecified address to the solicited-node group (RFC 4291, 2.7.1): asked by nobody. */
function solicitation(address: string, mac: string): Buffer {
  const target = addressBytes(address);
  const group = Buffer.concat([
    Buffer.from('ff0200000000000000000001ff', 'hex'),
    target.subarray(13),
  ]);
  const body = Buffer.concat([Buffer.from('87000000' + '00000000', 'hex'), target]);
  body.writeUInt16BE(icmpChecksum(Buffer.alloc(16), group, body), 2);
  const header = Buffer.from('6000000000003aff', 'hex');
  header.writeUInt16BE(body.length, 4);
  return Buffer.concat([
    Buffer.from('3333', 'hex'),
    group.subarray(12),
    macBytes(mac),
    Buffer.from('86dd', 'hex'),
    header,
    Buffer.alloc(16),
    group,
    body,
  ]);
}

/** Whom a frame names as the holder of one of the addresses. */
function holderIn(frame: Buffer, addresses: readonly string[]): Holder | undefined {
  const isArp = frame.length >= 42 && frame.readUInt16BE(12) === etherTypes.arp;
  // In ARP it is the sender, whatever he says; an advertisement has it as its target.
  const named = isArp ? frame.subarray(28, 32) : frame.subarray(62, 78);
  const address = addresses.find((one) => addressBytes(one).equals(named));
  if (address === undefined) return undefined;
  const mac = isArp ? frame.subarray(22, 28) : frame.subarray(6, 12);
  return { address, mac: mac.toString('hex').replaceAll(/..(?=.)/g, '$&:') };
}
