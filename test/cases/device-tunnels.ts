import { generateKeyPairSync } from 'node:crypto';
import { type DeviceFixture, subnet, underlay } from './device-fixture.ts';

const { job, job6, peer, peer6 } = underlay;

/** A device between the two addresses of the underlay, the same on both ends. */
function tunnel(
  number: number,
  kind: string,
  options: (local: string, remote: string) => string,
  family: 4 | 6 = 4,
): DeviceFixture {
  const [here, there] = family === 4 ? [job, peer] : [job6, peer6];
  const name = `t${number}`;
  const net = subnet(number);
  return {
    what: `${kind} to the peer`,
    kinds: [kind],
    devices: [name],
    inside: [
      `ip link add ${name} type ${kind} ${options(here, there)}`,
      `ip link set ${name} up`,
      net.inside(name),
    ],
    peer: [
      `ip link add ${name} type ${kind} ${options(there, here)}`,
      `ip link set ${name} up`,
      net.peer(name),
    ],
    channels: [net.channel],
  };
}

const vxlan: DeviceFixture = {
  ...tunnel(14, 'vxlan', (local, remote) => `id 14 dstport 4789 local ${local} remote ${remote}`),
  what: 'vxlan to the peer',
};

const keys = { job: x25519Pair(), peer: x25519Pair() };

/** As `wg genkey` and `wg pubkey` print them: the last 32 bytes of both encodings (RFC 8410). */
function x25519Pair(): { own: string; public: string } {
  const { privateKey, publicKey } = generateKeyPairSync('x25519');
  const raw = (der: Buffer) => der.subarray(-32).toString('base64');
  return {
    own: raw(privateKey.export({ format: 'der', type: 'pkcs8' })),
    public: raw(publicKey.export({ format: 'der', type: 'spki' })),
  };
}

/**
 * Sessions do not move: the peer speaks in the old one until it has heard nothing for the sum of
 * KEEPALIVE_TIMEOUT and REKEY_TIMEOUT (drivers/net/wireguard/messages.h), and the new one begins.
 */
const wireguardRenewMs = 15_000;

const wireguard: DeviceFixture = (() => {
  const net = subnet(26);
  const end = (own: string, other: string, address: string) => [
    'ip link add wg26 type wireguard',
    `wg setconf wg26 /dev/stdin <<'EOF'
[Interface]
PrivateKey = ${own}
ListenPort = 51826
[Peer]
PublicKey = ${other}
Endpoint = ${address}:51826
AllowedIPs = 10.99.26.0/24
EOF`,
    'ip link set wg26 up',
  ];
  return {
    what: 'wireguard to the peer',
    kinds: ['wireguard'],
    devices: ['wg26'],
    inside: [...end(keys.job.own, keys.peer.public, peer), net.inside('wg26')],
    peer: [...end(keys.peer.own, keys.job.public, job), net.peer('wg26')],
    channels: [{ ...net.channel, renewMs: wireguardRenewMs }],
  };
})();

/** IPv6 inside of IPv4. */
const sit: DeviceFixture = {
  what: 'sit to the peer',
  kinds: ['sit'],
  devices: ['t27'],
  inside: [
    `ip link add t27 type sit local ${job} remote ${peer}`,
    'ip link set t27 up',
    'ip addr add fd99:27::1/64 dev t27 nodad',
  ],
  peer: [
    `ip link add t27 type sit local ${peer} remote ${job}`,
    'ip link set t27 up',
    'ip addr add fd99:27::2/64 dev t27 nodad',
  ],
  channels: [{ job: { address: 'fd99:27::1' }, peer: { address: 'fd99:27::2' } }],
};

const ends = (local: string, remote: string) => `local ${local} remote ${remote}`;

export const tunnelDevices: readonly DeviceFixture[] = [
  vxlan,
  wireguard,
  sit,
  tunnel(31, 'ipip', ends),
  tunnel(32, 'gre', (local, remote) => `${ends(local, remote)} key 32`),
  tunnel(33, 'gretap', (local, remote) => `${ends(local, remote)} key 33`),
  tunnel(34, 'ip6tnl', (local, remote) => `${ends(local, remote)} mode any`, 6),
  tunnel(35, 'geneve', (_, remote) => `id 35 remote ${remote}`),
];
