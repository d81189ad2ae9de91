import { isIPv4 } from 'node:net';
import { addressBytes } from '../address.ts';

/** The frames that tell every neighbour where an address lives now: one, or two for IPv4. */
export function announcementFrames(address: string, mac: string): Buffer[] {
  return isIPv4(address)
    ? [gratuitousArp(address, mac, 'request'), gratuitousArp(address, mac, 'reply')]
    : [unsolicitedAdvertisement(address, mac)];
}

export const broadcastMac = Buffer.from('ffffffffffff', 'hex');

/** Gratuitous ARP (RFC 5227, 3; RFC 5944, 4.6): some switches heed requests, some replies. */
function gratuitousArp(address: string, mac: string, kind: 'request' | 'reply'): Buffer {
  const hardware = macBytes(mac);
  const protocol = addressBytes(address);
  return Buffer.concat([
    broadcastMac,
    hardware,
    Buffer.from('0806' + '0001' + '0800' + '0604', 'hex'),
    Buffer.from(kind === 'request' ? '0001' : '0002', 'hex'),
    hardware,
    protocol,
    kind === 'request' ? Buffer.alloc(6) : broadcastMac,
    protocol,
  ]);
}

/** Unsolicited neighbour advertisement with the override flag, to all nodes (RFC 4861, 7.2.6). */
function unsolicitedAdvertisement(address: string, mac: string): Buffer {
  const target = addressBytes(address);
  const allNodes = addressBytes('ff02::1');
  const body = Buffer.concat([
    Buffer.from('88000000' + '20000000', 'hex'),
    target,
    Buffer.from('0201', 'hex'),
    macBytes(mac),
  ]);
  body.writeUInt16BE(icmpChecksum(target, allNodes, body), 2);
  const header = Buffer.from('6000000000003aff', 'hex');
  header.writeUInt16BE(body.length, 4);
  return Buffer.concat([
    Buffer.from('333300000001', 'hex'),
    macBytes(mac),
    Buffer.from('86dd', 'hex'),
    header,
    target,
    allNodes,
    body,
  ]);
}

/** The Internet checksum over the IPv6 pseudo-header and the message (RFC 4443, 2.3). */
export function icmpChecksum(source: Buffer, destination: Buffer, body: Buffer): number {
  const length = Buffer.alloc(8);
  length.writeUInt32BE(body.length, 0);
  length.writeUInt32BE(58, 4);
  const all = Buffer.concat([source, destination, length, body]);
  let sum = 0;
  for (let at = 0; at < all.length; at += 2) sum += all.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}
