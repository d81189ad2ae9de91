import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fingerprint, keyType, parseKnownHosts } from '../../../src/transport/known-hosts.ts';

let dir: string;
const keys: Record<string, string> = {};

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'migrate-known-hosts-'));
  for (const [name, type] of Object.entries({ a: 'ed25519', b: 'ed25519', e: 'ecdsa', r: 'rsa' })) {
    execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', '', '-f', join(dir, name)]);
    keys[name] = readFileSync(join(dir, `${name}.pub`), 'utf8').trim();
  }
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** The wire form of a key. */
function wire(name: string): Buffer {
  return Buffer.from(keys[name]?.split(' ')[1] ?? '', 'base64');
}

/** `{a}` in a text stands for that key's `type base64`. */
function fill(text: string): string {
  return text.replace(/\{(\w)\}/g, (_, name: string) => keys[name] ?? '');
}

function known(...texts: string[]) {
  return parseKnownHosts(texts.map((text, index) => ({ path: `k${index}`, text: fill(text) })));
}

function kind(text: string, host: string, port: number, key: string): string {
  return known(text).check(host, port, wire(key)).kind;
}

test('the fingerprint and the type are those that ssh-keygen prints', () => {
  const printed = execFileSync('ssh-keygen', ['-lf', join(dir, 'r.pub')], { encoding: 'utf8' });
  expect(printed).toContain(fingerprint(wire('r')));
  expect(keyType(wire('r'))).toBe('ssh-rsa');
  expect(keyType(Buffer.from([0, 0, 0, 99, 1]))).toBe('');
});

describe('verdicts', () => {
  test.each([
    ['a plain name', 'web {a}', 'web', 22, 'a', 'known'],
    ['letter case of the host', 'web {a}', 'WEB', 22, 'a', 'known'],
    ['another key of the same type', 'web {a}', 'web', 22, 'b', 'changed'],
    ['a key of another type', 'web {a}', 'web', 22, 'e', 'unknown'],
    ['a host that is not there', 'web {a}', 'db', 22, 'a', 'unknown'],
    ['two keys for one host', 'web {b}\nweb {a}', 'web', 22, 'a', 'known'],
    ['a name and an address', 'web,10.0.0.1 {a}', '10.0.0.1', 22, 'a', 'known'],
    ['another port', '[web]:2222 {a}', 'web', 2222, 'a', 'known'],
    ['the port of another', '[web]:2222 {a}', 'web', 22, 'a', 'unknown'],
    ['the same key under the bare name', 'web {a}', 'web', 2222, 'a', 'known'],
    ['another key under the bare name', 'web {a}', 'web', 2222, 'b', 'unknown'],
    ['IPv6', 'fd77::1 {a}', 'fd77::1', 22, 'a', 'known'],
    ['IPv6 with a port', '[fd77::1]:2222 {a}', 'fd77::1', 2222, 'a', 'known'],
    ['a star', '*.lab {a}', 'web.lab', 22, 'a', 'known'],
    ['a question mark', 'web? {a}', 'web', 22, 'a', 'unknown'],
    ['a negation', '*.lab,!db.lab {a}', 'db.lab', 22, 'a', 'unknown'],
    ['a negation of another', '!db.lab,*.lab {a}', 'web.lab', 22, 'a', 'known'],
    ['a negation alone', '!db.lab {a}', 'web.lab', 22, 'a', 'unknown'],
    ['a revoked key', 'web {a}\n@revoked * {a}', 'web', 22, 'a', 'revoked'],
    ['another key revoked', 'web {a}\n@revoked * {b}', 'web', 22, 'a', 'known'],
    ['a key revoked under the bare name', '@revoked web {a}', 'web', 2222, 'a', 'revoked'],
    ['a certificate authority', '@cert-authority * {a}', 'web', 22, 'a', 'unknown'],
    ['a comment', '# web {a}', 'web', 22, 'a', 'unknown'],
    ['a comment behind the key', '  web\t{a} me@there', 'web', 22, 'a', 'known'],
    ['a type that is not the key s', 'web ssh-rsa AAAAC3NzaC1lZDI1NTE5', 'web', 22, 'a', 'unknown'],
    ['an unknown marker', '@sure web {a}', 'web', 22, 'a', 'unknown'],
    ['an unknown hash', '|2|AAAA|BBBB {a}', 'web', 22, 'a', 'unknown'],
  ])('%s', (_name, text, host, port, key, verdict) => {
    expect(kind(text, host, port, key)).toBe(verdict);
  });

  test('revocation in one file wins over knowledge in another, and says where', () => {
    const verdict = known('web {a}', '\n@revoked web {a}').check('web', 22, wire('a'));
    expect(verdict).toEqual({ kind: 'revoked', where: 'k1:2' });
  });
});

test('the known types come first come first asked', () => {
  const hosts = known('web {e}\nweb {a}\n@revoked web {r}\n[web]:2222 {r}');
  expect(hosts.keyTypes('web', 22)).toEqual(['ecdsa-sha2-nistp256', 'ssh-ed25519']);
  expect(hosts.keyTypes('web', 2222)).toEqual(['ssh-rsa']);
  expect(hosts.keyTypes('web', 99)).toEqual(['ecdsa-sha2-nistp256', 'ssh-ed25519']);
});

/** What ssh-keygen finds: names and ports as OpenSSH itself understands them. */
function foundBySshKeygen(file: string, name: string): boolean {
  return spawnSync('ssh-keygen', ['-F', name, '-f', file]).status === 0;
}

test('names match as ssh-keygen -F finds them, hashed by ssh-keygen -H or not', () => {
  const file = join(dir, 'known_hosts');
  const text = fill('web,10.0.0.1 {a}\n[db]:2222 {a}\n[fd77::1]:2022 {a}\nfd77::2 {a}\n');
  writeFileSync(file, text);
  const hashed = join(dir, 'hashed');
  writeFileSync(hashed, text);
  execFileSync('ssh-keygen', ['-H', '-f', hashed], { stdio: 'ignore' });
  expect(readFileSync(hashed, 'utf8')).toMatch(/^\|1\|/);
  const places: [string, number][] = [
    ['web', 22],
    ['10.0.0.1', 22],
    ['10.0.0.2', 22],
    ['db', 22],
    ['db', 2222],
    ['fd77::1', 2022],
    ['fd77::2', 22],
  ];
  for (const [host, port] of places) {
    const name = port === 22 ? host : `[${host}]:${port}`;
    const expected = foundBySshKeygen(file, name);
    expect(foundBySshKeygen(hashed, name)).toBe(expected);
    for (const path of [file, hashed]) {
      const hosts = parseKnownHosts([{ path, text: readFileSync(path, 'utf8') }]);
      const got = hosts.check(host, port, wire('a')).kind === 'known';
      expect({ name, path, got }).toEqual({ name, path, got: expected });
    }
  }
});

test('patterns match as ssh-keygen -F matches them', () => {
  const file = join(dir, 'patterns');
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '.'), minLength: 1, maxLength: 5 });
  const glob = fc.string({
    unit: fc.constantFrom('a', 'b', '.', '*', '?'),
    minLength: 1,
    maxLength: 5,
  });
  const pattern = fc.tuple(fc.boolean(), glob).map(([not, one]) => (not ? `!${one}` : one));
  fc.assert(
    fc.property(fc.array(pattern, { minLength: 1, maxLength: 3 }), letters, (patterns, host) => {
      const text = fill(`${patterns.join(',')} {a}\n`);
      writeFileSync(file, text);
      const got = parseKnownHosts([{ path: file, text }]).check(host, 22, wire('a')).kind;
      expect(got).toBe(foundBySshKeygen(file, host) ? 'known' : 'unknown');
    }),
    { numRuns: 150 },
  );
});

test('any text is read without harm', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), (text) => {
      expect(known(text).check('web', 22, wire('a')).kind).not.toBe('known');
    }),
  );
});
