import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** What the known_hosts files say about a key that a host showed. */
export type HostKeyVerdict =
  | { readonly kind: 'known' }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'changed'; readonly where: string }
  | { readonly kind: 'revoked'; readonly where: string };

/** The lines of all known_hosts files that can be understood; the others never match. */
export interface KnownHosts {
  /** `hostKey` is the key as it crosses the wire. Revocation wins over everything else. */
  check(host: string, port: number, hostKey: Uint8Array): HostKeyVerdict;
  /** The types of the keys that are known for a host, for asking for those first. */
  keyTypes(host: string, port: number): readonly string[];
}

export interface KnownHostsFile {
  readonly path: string;
  readonly text: string;
}

interface Entry {
  readonly matches: (name: string) => boolean;
  readonly isRevoked: boolean;
  readonly type: string;
  readonly key: Buffer;
  /** File and line, for messages. */
  readonly where: string;
}

/** Reads known_hosts files as OpenSSH does (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
export function parseKnownHosts(files: readonly KnownHostsFile[]): KnownHosts {
  const entries = files.flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, index) => parseLine(line, `${path}:${index + 1}`) ?? []),
  );
  const forName = (name: string) => entries.filter((entry) => entry.matches(name));
  return {
    check(host, port, hostKey) {
      const verdict = judge(forName(lookupName(host, port)), hostKey);
      if (verdict.kind !== 'unknown' || port === 22) return verdict;
      // As OpenSSH does: on another port the same key under the bare name counts, a different
      // one does not, because it may belong to the daemon on port 22.
      const bare = judge(forName(host.toLowerCase()), hostKey);
      return bare.kind === 'changed' ? verdict : bare;
    },
    keyTypes(host, port) {
      const exact = forName(lookupName(host, port));
      const found = exact.length > 0 ? exact : forName(host.toLowerCase());
      return [...new Set(found.filter((entry) => !entry.isRevoked).map((entry) => entry.type))];
    },
  };
}

/** The name under which known_hosts files list a host: `host`, or `[host]:port` off port 22. */
export function lookupName(host: string, port: number): string {
  const name = host.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

/** `SHA256:...`, as ssh-keygen -l prints it. */
export function fingerprint(hostKey: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(hostKey).digest('base64').replace(/=+$/u, '')}`;
}

/** The type that a wire-format key names itself, empty when it is not one. */
export function keyType(hostKey: Uint8Array): string {
  const bytes = Buffer.from(hostKey.buffer, hostKey.byteOffset, hostKey.byteLength);
  if (bytes.byteLength < 4) return '';
  const end = 4 + bytes.readUInt32BE(0);
  return end > bytes.byteLength ? '' : bytes.toString('latin1', 4, end);
}

function judge(entries: readonly Entry[], hostKey: Uint8Array): HostKeyVerdict {
  const same = entries.filter((entry) => entry.key.equals(hostKey));
  const revoked = same.find((entry) => entry.isRevoked);
  if (revoked !== undefined) return { kind: 'revoked', where: revoked.where };
  if (same.length > 0) return { kind: 'known' };
  const type = keyType(hostKey);
  const other = entries.find((entry) => !entry.isRevoked && entry.type === type);
  return other === undefined ? { kind: 'unknown' } : { kind: 'changed', where: other.where };
}

/** Undefined for comments, certificate authorities and lines that are not well formed. */
function parseLine(line: string, where: string): Entry | undefined {
  const fields = line.trim().split(/[ \t]+/u);
  if (fields[0] === '' || fields[0]?.startsWith('#')) return undefined;
  const marker = fields[0]?.startsWith('@') ? fields.shift() : undefined;
  // Certificates are not supported by ssh2: an authority's line vouches for nothing here.
  if (marker !== undefined && marker !== '@revoked') return undefined;
  const [names, type, base64] = fields;
  if (names === undefined || type === undefined || base64 === undefined) return undefined;
  const key = Buffer.from(base64, 'base64');
  if (keyType(key) !== type) return undefined;
  return { matches: nameMatcher(names), isRevoked: marker === '@revoked', type, key, where };
}

function nameMatcher(names: string): (name: string) => boolean {
  return names.startsWith('|') ? hashMatcher(names) : listMatcher(names);
}

/** `|1|salt|hash`: HMAC-SHA1 of the name, both parts in base64. */
function hashMatcher(field: string): (name: string) => boolean {
  const [, version, salt, hash, ...rest] = field.split('|');
  const wanted = Buffer.from(hash ?? '', 'base64');
  if (version !== '1' || salt === undefined || wanted.byteLength !== 20 || rest.length > 0) {
    return () => false;
  }
  const key = Buffer.from(salt, 'base64');
  return (name) => timingSafeEqual(createHmac('sha1', key).update(name).digest(), wanted);
}

/** Comma-separated patterns; one negated pattern that matches rules the whole line out. */
function listMatcher(field: string): (name: string) => boolean {
  const patterns = field
    .toLowerCase()
    .split(',')
    .map((pattern) => ({ isNegated: pattern.startsWith('!'), glob: pattern.replace(/^!/u, '') }));
  return (name) => {
    const hits = patterns.filter(({ glob }) => matchesGlob(glob, name));
    return hits.length > 0 && hits.every((hit) => !hit.isNegated);
  };
}

/** `*` and `?` alone, in time linear in both lengths times one another: no regular expression. */
function matchesGlob(glob: string, name: string): boolean {
  let globAt = 0;
  let nameAt = 0;
  let starAt = -1;
  let starNameAt = 0;
  while (nameAt < name.length) {
    if (glob[globAt] === '*') {
      starAt = globAt++;
      starNameAt = nameAt;
    } else if (globAt < glob.length && (glob[globAt] === '?' || glob[globAt] === name[nameAt])) {
      globAt++;
      nameAt++;
    } else if (starAt >= 0) {
      globAt = starAt + 1;
      nameAt = ++starNameAt;
    } else {
      return false;
    }
  }
  while (glob[globAt] === '*') globAt++;
  return globAt === glob.length;
}
