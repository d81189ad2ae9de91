import { readFile, stat } from 'node:fs/promises';
import type { ServerHostKeyAlgorithm } from 'ssh2';
import { MigrateError } from '../base/errors.ts';
import {
  fingerprint,
  type HostKeyVerdict,
  type KnownHosts,
  type KnownHostsFile,
  keyType,
  lookupName,
  parseKnownHosts,
} from './known-hosts.ts';
import { transportLimits } from './limits.ts';
import type { SshHost } from './ssh-config.ts';

/** Decides about the key that one host shows. There is no way to turn it off. */
export interface HostKeyJudge {
  /** Undefined when the key is the host's; HOST_KEY_UNKNOWN or HOST_KEY_CHANGED otherwise. */
  judge(hostKey: Uint8Array): MigrateError | undefined;
  /** What to ask the host for: the types that are known for it first, as OpenSSH does. */
  readonly algorithms: readonly ServerHostKeyAlgorithm[];
}

/** Reads the host's known_hosts files. Throws HOST_KEY_UNKNOWN when one cannot be read. */
export async function createHostKeyJudge(host: SshHost): Promise<HostKeyJudge> {
  const known = parseKnownHosts(await readKnownHosts(host.knownHostsFiles));
  const revoked = await readRevokedKeys(host.revokedKeysFile);
  const name = host.hostKeyAlias ?? host.hostname;
  const port = host.hostKeyAlias === undefined ? host.port : 22;
  return {
    judge(hostKey) {
      const verdict: HostKeyVerdict = revoked.has(fingerprint(hostKey))
        ? { kind: 'revoked', where: host.revokedKeysFile ?? '' }
        : known.check(name, port, hostKey);
      return explain(verdict, host, lookupName(name, port), hostKey);
    },
    algorithms: orderAlgorithms(known, name, port, host.hostKeyAlgorithms),
  };
}

/** ssh-rsa as a signature is SHA-1 and never asked for; an RSA key signs with SHA-2. */
const algorithmsOfType: Readonly<Record<string, readonly ServerHostKeyAlgorithm[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
};

function orderAlgorithms(
  known: KnownHosts,
  name: string,
  port: number,
  allowed: readonly string[],
): ServerHostKeyAlgorithm[] {
  const first = known.keyTypes(name, port).flatMap((type) => algorithmsOfType[type] ?? []);
  const all = [...new Set([...first, ...Object.values(algorithmsOfType).flat()])];
  const both = all.filter((algorithm) => allowed.includes(algorithm));
  return both.length > 0 ? both : all;
}

function explain(
  verdict: HostKeyVerdict,
  host: SshHost,
  name: string,
  hostKey: Uint8Array,
): MigrateError | undefined {
  const files = host.knownHostsFiles.join(', ');
  const shown = `${keyType(hostKey)} ${fingerprint(hostKey)}`;
  switch (verdict.kind) {
    case 'known':
      return undefined;
    case 'revoked':
      return new MigrateError(
        'HOST_KEY_CHANGED',
        `the host key of ${name} (${shown}) is revoked by ${verdict.where}`,
        { hint: 'Do not connect to that host before its administrator has explained this.' },
      );
    case 'changed':
      return new MigrateError(
        'HOST_KEY_CHANGED',
        `the host key of ${name} (${shown}) is not the one in ${verdict.where}`,
        {
          hint:
            'Somebody may be listening in. If the host was set up anew, ' +
            `remove the old key with: ssh-keygen -R '${name}'`,
        },
      );
    case 'unknown':
      return new MigrateError(
        'HOST_KEY_UNKNOWN',
        `the host key of ${name} (${shown}) is not in ${files || 'any known_hosts file'}`,
        { hint: `Compare the fingerprint, then add the key with: ssh ${host.typed} true` },
      );
  }
}

/** An absent file knows nobody; one that is there and cannot be read may hold a revocation. */
async function readKnownHosts(paths: readonly string[]): Promise<KnownHostsFile[]> {
  const files: KnownHostsFile[] = [];
  for (const path of paths) {
    const text = await readIfPresent(path);
    if (text !== undefined) files.push({ path, text });
  }
  return files;
}

/** RevokedHostKeys as a list of public keys; the binary form is refused, not ignored. */
async function readRevokedKeys(path: string | undefined): Promise<ReadonlySet<string>> {
  if (path === undefined) return new Set();
  const text = await readIfPresent(path);
  if (text === undefined || text.startsWith('SSHKRL')) {
    throw new MigrateError('HOST_KEY_UNKNOWN', `RevokedHostKeys ${path} is not a list of keys`);
  }
  const keys = text.split('\n').map((line) => line.trim().split(/\s+/u)[1] ?? '');
  return new Set(keys.map((base64) => fingerprint(Buffer.from(base64, 'base64'))));
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    const { size } = await stat(path);
    if (size > transportLimits.knownHostsBytesMax) throw new Error(`it has ${size} bytes`);
    return await readFile(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MigrateError('HOST_KEY_UNKNOWN', `${path} cannot be read: ${why}`, { cause });
  }
}
