import { MigrateError } from './errors.ts';

/** Throws INTERNAL when our own reasoning was wrong; never used on input from outside. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new MigrateError('INTERNAL', `assertion failed: ${message}`);
}
