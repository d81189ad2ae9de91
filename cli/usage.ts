import { MigrateError } from '../src/base/errors.ts';

/** The command line is wrong: exit 2, one line, and where to read more. */
export function usageError(message: string): MigrateError {
  return new MigrateError('USAGE', message, { hint: 'see migrate --help' });
}

/** A number of seconds as milliseconds. */
export function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || seconds <= 0 || seconds > secondsMax) {
    throw usageError(`'${text}' is not a number of seconds between 0 and ${secondsMax}`);
  }
  return Math.ceil(seconds * 1000);
}

/** A number of milliseconds, whole or not. */
export function parseMilliseconds(text: string): number {
  const ms = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || ms <= 0 || ms > secondsMax * 1000) {
    throw usageError(`'${text}' is not a number of milliseconds between 0 and ${secondsMax}000`);
  }
  return ms;
}

/** `10M` (bytes a second), `100Mbit` (bits a second), K, M and G being thousands; in bytes. */
export function parseRate(text: string): number {
  const [, digits = '', unit = '', bits] = /^(\d+(?:\.\d+)?)([KMG]?)(bit)?$/i.exec(text) ?? [];
  const factor = 1000 ** ['', 'K', 'M', 'G'].indexOf(unit.toUpperCase());
  const bytes = (Number(digits) * factor) / (bits === undefined ? 1 : 8);
  if (digits !== '' && bytes >= rateMin) return bytes;
  throw usageError(`'${text}' is not a rate such as 10M or 100Mbit, and at least ${rateMin} bytes`);
}

/** Less than a page a second is a unit that somebody mistook. */
const rateMin = 4096;

/** One day: more is a unit that somebody mistook. */
const secondsMax = 86_400;

/** An option that may stand several times. */
export function collect(value: string, earlier: readonly string[] = []): string[] {
  return [...earlier, value];
}

/** The object without the entries that were not given. */
export function given<T extends object>(entries: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const present = Object.entries(entries).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
