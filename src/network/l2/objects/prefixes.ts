import { isIP } from 'node:net';
import { z } from 'zod';

export const familySchema = z.union([z.literal(4), z.literal(6)]);

/** `ADDRESS/LENGTH`, or `default` for all of a family. */
export const prefixSchema = z.string().refine(isPrefix, 'not ADDRESS/LENGTH or "default"');

/** AF_INET or AF_INET6. */
export function familyNumber(family: 4 | 6): 2 | 10 {
  return family === 4 ? 2 : 10;
}

/** Bits of a whole address of a family, or of the address given. */
export function hostLength(of: 4 | 6 | string): 32 | 128 {
  return of === 4 || (typeof of === 'string' && isIP(of) === 4) ? 32 : 128;
}

/** The address and its length in bits; no address for `default`. */
export function prefixParts(prefix: string): [string | undefined, number] {
  if (prefix === 'default') return [undefined, 0];
  const [address, length] = prefix.split('/');
  return [address, Number(length)];
}

function isPrefix(text: string): boolean {
  if (text === 'default') return true;
  const [host = '', length = '', ...rest] = text.split('/');
  if (isIP(host) === 0 || host.includes('%') || rest.length > 0) return false;
  return /^\d{1,3}$/.test(length) && Number(length) <= hostLength(host);
}
