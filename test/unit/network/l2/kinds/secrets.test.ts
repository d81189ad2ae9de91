import { expect, test } from 'vitest';
import { withoutSecrets } from '../../../../../src/network/l2/kinds/secrets.ts';

const key = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHn8=';

test('keys are replaced wherever they stand, and equal ones still look equal', () => {
  const data = {
    privateKey: key,
    listenPort: 5,
    peers: [
      { publicKey: key, presharedKey: key, allowed: [] },
      { publicKey: key, allowed: [] },
    ],
  };
  const shown = withoutSecrets({ links: [{ name: 'wg0', data }] });
  const hidden = (shown.links[0] as { data: typeof data }).data;
  expect(hidden.privateKey).toMatch(/^\(secret [0-9a-f]{8}\)$/);
  expect(hidden.peers[0]?.presharedKey).toBe(hidden.privateKey);
  expect(hidden.peers.map(({ publicKey }) => publicKey)).toEqual([key, key]);
  expect(hidden.listenPort).toBe(5);
  expect(data.privateKey).toBe(key);
});
