import { deviceFixtures } from './link-kind-devices.ts';
import type { KindFixture } from './link-kind-fixture.ts';
import { tunnelFixtures } from './link-kind-tunnels.ts';
import { wireguardFixtures } from './link-kind-wireguard.ts';

/** Every kind, with as much said about it as ip(8) can. */
export const kindFixtures: readonly KindFixture[] = [
  ...deviceFixtures,
  ...tunnelFixtures,
  ...wireguardFixtures,
];
