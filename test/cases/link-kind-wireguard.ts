import { createHash } from 'node:crypto';
import type { KindFixture } from './link-kind-fixture.ts';

/** A key made from words, clamped as a private one has to be (RFC 7748, section 5). */
function key(words: string): string {
  const bytes = createHash('sha256').update(words).digest();
  bytes[0] = (bytes[0] ?? 0) & 248;
  bytes[31] = ((bytes[31] ?? 0) & 127) | 64;
  return bytes.toString('base64');
}

const own = `[Interface]\nPrivateKey = ${key('own')}\nListenPort = 51821\nFwMark = 0x1234\n`;

const twoPeers = [
  own,
  `[Peer]\nPublicKey = ${key('b')}\nPresharedKey = ${key('shared')}\nEndpoint = 192.0.2.2:51820`,
  'AllowedIPs = 10.0.0.0/24, fd00:2::/64\nPersistentKeepalive = 25',
  `[Peer]\nPublicKey = ${key('c')}\nEndpoint = [fd00::3]:51820`,
].join('\n');

/** Neither the peers nor the addresses of the last one fit into one message. */
const peersOfHub = 1_500;
const addressesOfLast = 6_000;

const hub = [
  own,
  ...Array.from({ length: peersOfHub }, (_, at) => {
    return `[Peer]\nPublicKey = ${key(`${at}`)}\nAllowedIPs = ${hostOf(10, at)}, fd00::${at}/128`;
  }),
  `[Peer]\nPublicKey = ${key('last')}`,
  ...Array.from({ length: addressesOfLast }, (_, at) => `AllowedIPs = ${hostOf(11, at)}`),
].join('\n');

function hostOf(network: number, at: number): string {
  return `${network}.0.${at >> 8}.${at & 255}/32`;
}

export const wireguardFixtures: readonly KindFixture[] = [
  {
    kind: 'wireguard',
    what: 'without a word',
    make: 'link add t0 type wireguard',
    data: { peers: [], privateKey: undefined },
  },
  {
    kind: 'wireguard',
    what: 'keys and two peers',
    make: 'link add t0 type wireguard',
    wireguard: twoPeers,
    data: { privateKey: key('own'), listenPort: 51_821, mark: 0x1234 },
  },
  {
    kind: 'wireguard',
    what: 'more than one message holds',
    make: 'link add t0 type wireguard',
    wireguard: hub,
    data: { privateKey: key('own') },
  },
];
