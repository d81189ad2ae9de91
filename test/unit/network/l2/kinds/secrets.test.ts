import { expect, test } from 'vitest';
import { diffNetwork } from '../../../../../src/network/l2/diff.ts';
import { withoutSecrets } from '../../../../../src/network/l2/kinds/secrets.ts';
import { type SectionLists, sectionNames } from '../../../../../src/network/l2/sections.ts';
import type { NetworkState } from '../../../../../src/network/l2/state.ts';

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

test('neither files of /etc/netns nor sysctls that are keys are told, where one differs', () => {
  const content = Buffer.from('psk').toString('base64');
  expect(JSON.stringify(withoutSecrets({ files: [{ name: 'x', content }] }))).not.toContain(
    content,
  );
  const lists = Object.fromEntries(sectionNames.map((name) => [name, []])) as unknown;
  const rest = { version: 2, links: [], ends: [], files: [], nft: [], iptables: [], warnings: [] };
  const withSysctls = (sysctls: NetworkState['sysctls']) =>
    ({ ...(lists as SectionLists), ...rest, sysctls }) as NetworkState;
  const fastOpen = 'net/ipv4/tcp_fastopen_key';
  const stable = 'net/ipv6/conf/eth0/stable_secret';
  const wanted = withSysctls({ [fastOpen]: '5ec-1', [stable]: '5ec::2', 'net/ipv4/x': '1' });
  const lines = diffNetwork(wanted, withSysctls({ [fastOpen]: '5ec-3' }));
  expect(lines).toHaveLength(3);
  expect(lines[1]).toBe("sysctl net/ipv4/x: 1 wanted, a new namespace's found");
  expect(lines.join()).not.toContain('5ec');
  expect(lines[0]).toMatch(/tcp_fastopen_key: \(secret \w{8}\) wanted, \(secret \w{8}\) found/);
});
