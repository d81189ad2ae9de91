import { expect, test } from 'vitest';
import { parseSshHost, readSshHost } from '../../../src/transport/ssh-config.ts';

test('what ssh prints becomes a host', () => {
  const host = parseSshHost(
    'web',
    [
      'hostname 10.0.0.1',
      'port 2222',
      'user me',
      'identityfile /keys/%h/one',
      'identityfile ~/two words',
      'identitiesonly yes',
      'identityagent none',
      'userknownhostsfile /a /b',
      'globalknownhostsfile /c',
      'hostkeyalias alias',
      'connecttimeout 3',
      'addressfamily inet6',
      'proxyjump a,me@b:2022',
      'ciphers aes128-ctr,aes256-ctr',
    ].join('\n'),
  );
  expect(host).toMatchObject({
    hostname: '10.0.0.1',
    port: 2222,
    user: 'me',
    identityFiles: ['/keys/10.0.0.1/one', `${process.env.HOME}/two words`],
    identitiesOnly: true,
    agentSocket: undefined,
    knownHostsFiles: ['/a', '/b', '/c'],
    hostKeyAlias: 'alias',
    connectTimeoutMs: 3_000,
    addressFamily: 6,
    jumps: ['a', 'me@b:2022'],
    ciphers: ['aes128-ctr', 'aes256-ctr'],
  });
});

test('every way to write a host is understood as ssh does', async () => {
  const none = '/dev/null';
  const where = { user: 'me', hostname: 'web', port: 2022 };
  expect(await readSshHost('ssh://me@web:2022', none)).toMatchObject(where);
  expect(await readSshHost('me@web:2022', none)).toMatchObject(where);
  expect(await readSshHost('me@web', none)).toMatchObject({ ...where, port: 22 });
  expect(await readSshHost('me@[fd77::1]:2022', none)).toMatchObject({ hostname: 'fd77::1' });
  expect(await readSshHost('fd77::1', none)).toMatchObject({ hostname: 'fd77::1', port: 22 });
});

test.each(['-oProxyCommand=id', '', 'a b', 'a\nb', 'ssh://a/b/c'])(
  '%j is not the name of a host',
  async (host) => {
    await expect(readSshHost(host, '/dev/null')).rejects.toMatchObject({ code: 'HOST_UNKNOWN' });
  },
);

test('a ProxyCommand is refused, with a way out', () => {
  const output = 'hostname web\nproxycommand nc %h %p\n';
  expect(() => parseSshHost('web', output)).toThrow(
    expect.objectContaining({
      code: 'HOST_UNKNOWN',
      details: expect.objectContaining({ hint: expect.stringContaining('ProxyJump') }),
    }),
  );
});
