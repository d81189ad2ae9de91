import { expect, test } from 'vitest';
import {
  joinPeers,
  peerNests,
  toldPeers,
  type WireguardPeer,
} from '../../../../../src/network/l2/kinds/wireguard-peer.ts';

const names = { nameOf: () => undefined, indexOf: () => 0 };
const key = (letter: string) => `${letter.repeat(42)}A=`;
const peer = (letter: string, allowed: string[]): WireguardPeer => ({
  publicKey: key(letter),
  allowed,
});

test('a peer of which two messages tell is one', () => {
  const told = [peer('c', ['10.0.0.2/32']), peer('c', ['10.0.0.1/32']), peer('b', [])];
  expect(joinPeers(told)).toEqual([peer('b', []), peer('c', ['10.0.0.1/32', '10.0.0.2/32'])]);
});

test('a peer with many addresses stands in several nests, its own words only in the first', () => {
  const allowed = Array.from({ length: 1_000 }, (_, at) => `10.0.${at >> 8}.${at & 255}/32`);
  const whole: WireguardPeer = {
    ...peer('b', allowed),
    presharedKey: key('s'),
    endpoint: { address: 'fd00::1', port: 7 },
    keepalive: 25,
  };
  const nests = peerNests(whole, 8_192, names);
  expect(nests.length).toBeGreaterThan(1);
  expect(Math.max(...nests.map((nest) => nest.length))).toBeLessThanOrEqual(8_192);
  const told = toldPeers.decode(Buffer.concat(nests), { names, unknown: new Set() });
  expect(told.slice(1).map(({ endpoint, keepalive }) => endpoint ?? keepalive)).toEqual(
    nests.slice(1).map(() => undefined),
  );
  expect(joinPeers(told)).toEqual([{ ...whole, allowed: [...allowed].sort() }]);
});

test('a peer without addresses is a nest, too', () => {
  const nests = peerNests(peer('b', []), 8_192, names);
  const told = toldPeers.decode(Buffer.concat(nests), { names, unknown: new Set() });
  expect(told).toEqual([peer('b', [])]);
});
