import { describe, expect, it } from 'vitest';
import { assertManifest, assertManifestV1 } from '../../../src/bundle/index.ts';
import { sampleManifest } from './samples.ts';

/** The sample with one field, named by its path, set to another value. */
function withField(path: string, value: unknown): unknown {
  const copy: unknown = structuredClone(sampleManifest);
  const keys = path.split('.');
  const last = keys.pop() ?? '';
  let at = copy as Record<string, unknown>;
  for (const key of keys) at = at[key] as Record<string, unknown>;
  at[last] = value;
  return copy;
}

const file = sampleManifest.files[0];

describe('the manifest', () => {
  it.each([
    ['job.name', ['web', 'a', 'A_1.b-c', 'x'.repeat(64)]],
    ['job.cwd', ['/', '/srv/web', '/a..b/...', undefined]],
    ['job.ip', [[], ['10.0.0.1/32'], ['fd77::1/128']]],
    ['job.loopback', [{ v4: '127.1.0.1', v6: 'fd77::1' }]],
    ['job.command', [['sh', '-c', 'echo "$x"\n'], ['']]],
    ['job.memoryBytes', [0, 2 ** 50]],
    ['job.hostname', ['web', '(none)', 'a.b-c']],
    ['source.host', ['a', 'node1.example.org']],
    ['externals', [[], [{ key: 'eth0', kind: 'net', value: 'veth1@br0' }]]],
  ])('takes %s', (path, values) => {
    for (const value of values) {
      expect(() => assertManifestV1(withField(path, value)), String(value)).not.toThrow();
    }
  });

  it.each([
    ['format', [{}, { version: 0 }, { version: '1' }, { version: 1, more: 1 }]],
    ['id', ['', 'xyz', '0011', '00112233445566778899AABBCCDDEEFF', 7]],
    ['epoch', [-1, 1.5, '1', 2 ** 60]],
    ['createdAt', ['yesterday', '2026-11-23', '2026-11-23T12:00:00+01:00']],
    ['job.name', ['', '-x', '.x', '..', 'a/b', 'a b', 'a\n', 'ä', 'x'.repeat(65)]],
    ['job.kind', ['l4', undefined]],
    ['job.ip', [['10.0.0.1'], ['10.0.0.1/33'], ['fd77::1/129'], ['x'], '10.0.0.1/8']],
    ['job.cwd', ['', 'a', 'a/b', '/a/', '/a//b', '/a/./b', '/a/../b', '/..', '/a\0', '/a\n']],
    ['job.command', [[], ['a\0b'], 'sh']],
    ['job.bridge', ['br0']],
    ['job.env', [{}]],
    ['job.initPid', [0, -1, 2 ** 31]],
    ['job.cgroupName', ['..', 'a/b', '']],
    ['processes', [[]]],
    ['processes.0.uid', [-1, 2 ** 32]],
    ['processes.0.capsEffective', ['0', 'zzzzzzzzzzzzzzzz']],
    ['externals.0.key', ['', '-x', 'a b', '--external', 'a\n']],
    ['externals.0.kind', ['exec']],
    ['files.0.path', ['log', '/var/../etc/passwd', '/var/', '/']],
    ['files.0.mode', [0o4755, 0o10000, -1]],
    ['files.0.id', [-1, 1.5, 1_000_000, '0']],
    [
      'files',
      [
        [file, file],
        [file, { ...file, id: 1 }],
      ],
    ],
    ['checkpoint.criuOptions', [['exec'], ['--action-script'], ['tcp-close', 'tcp-close']]],
    ['extra', [1]],
    ['__proto__x', [{}]],
  ] as [string, unknown[]][])('refuses %s', (path, values) => {
    for (const value of values) {
      const [first = ''] = path.split('.');
      let message = '';
      try {
        assertManifestV1(withField(path, value));
      } catch (error) {
        message = String(error);
      }
      expect(message, `${path} = ${JSON.stringify(value)}`).toMatch(/the manifest is wrong/);
      if (first in sampleManifest) expect(message).toContain(first);
    }
  });

  it('names every bad path at once', () => {
    const bad = {
      ...sampleManifest,
      epoch: -1,
      source: { ...sampleManifest.source, host: '/' },
      sockets: { ...sampleManifest.sockets, udp: 0.5 },
    };
    expect(() => assertManifestV1(bad)).toThrow(/epoch: .*; source\.host: .*; sockets\.udp: /);
  });

  it('of a newer version is told from a wrong one', () => {
    expect(() => assertManifest({ format: { version: 3 } })).toThrow(/version 3/);
    expect(() => assertManifest({ format: { version: 1 } })).toThrow(/is wrong/);
    expect(() => assertManifest(null)).toThrow(/is wrong/);
    expect(assertManifest(sampleManifest)).toEqual(sampleManifest);
  });
});
