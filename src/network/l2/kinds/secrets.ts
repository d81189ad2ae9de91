import { createHash } from 'node:crypto';

/**
 * A copy of a document, or of a part of one, in which no key can be read: each is replaced by
 * eight digits of its hash, so that a person still sees whether two are the same. All that is
 * printed, logged or put into an error goes through it.
 */
export function withoutSecrets<T>(value: T): T {
  return JSON.parse(JSON.stringify(value, hidden)) as T;
}

/** Keys of WireGuard, and files of /etc/netns/NAME, which may be those of IPsec. */
const secretKeys: ReadonlySet<string> = new Set(['privateKey', 'presharedKey', 'content']);
/** Sysctls that addresses (RFC 7217) and cookies of TCP Fast Open are made from. */
const secretSysctl = /^net\/.*\/(?:stable_secret|tcp_fastopen_key)$/;
const hashCharsShown = 8;

function hidden(key: string, value: unknown): unknown {
  const isSecret = secretKeys.has(key) || secretSysctl.test(key);
  if (!isSecret || typeof value !== 'string') return value;
  const hash = createHash('sha256').update(value).digest('hex').slice(0, hashCharsShown);
  return `(secret ${hash})`;
}
