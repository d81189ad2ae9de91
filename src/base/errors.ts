import { type ErrorCode, errorCodes } from './codes.ts';
import { limits } from './limits.ts';

/**
 * Where the job is when an error is reported; `unknown` until `migrate recover` has looked, `ended`
 * when its program ended by itself and no copy of it is anywhere.
 */
export type JobLocation =
  | 'source-running'
  | 'source-frozen'
  | 'target-running'
  | 'target-stopped'
  | 'ended'
  | 'unknown';

export type Side = 'source' | 'target' | 'local';

export interface ErrorDetails {
  readonly side?: Side;
  readonly phase?: string;
  readonly location?: JobLocation;
  /** What a person can do about it, one sentence. */
  readonly hint?: string;
  /** Paths of full logs, on the side that `side` names. */
  readonly logs?: readonly string[];
  readonly cause?: unknown;
}

const brand = Symbol.for('migrate.error');

/** The one error class: a closed code, the side that failed, and where the job is now. */
export class MigrateError extends Error {
  readonly [brand] = true;
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(tidyText(message), details.cause === undefined ? {} : { cause: details.cause });
    this.name = 'MigrateError';
    this.code = code;
    this.details = details;
  }

  /** The same error with what a higher layer knows; what was known before wins. */
  with(details: ErrorDetails): MigrateError {
    const merged = new MigrateError(this.code, this.message, { ...details, ...this.details });
    if (this.stack !== undefined) merged.stack = this.stack;
    return merged;
  }
}

export function isMigrateError(value: unknown): value is MigrateError {
  return typeof value === 'object' && value !== null && brand in value;
}

/** Any thrown value as a MigrateError; what is not ours becomes `code`, INTERNAL unless said. */
export function asMigrateError(value: unknown, code: ErrorCode = 'INTERNAL'): MigrateError {
  if (isMigrateError(value)) return value;
  const message = value instanceof Error ? value.message : String(value);
  return new MigrateError(code, message || errorCodes[code], { cause: value });
}

/** Text from outside made fit for a terminal: no control characters, bounded length. */
export function tidyText(text: string, charsMax: number = limits.messageCharsMax): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they must not reach a terminal
  const clean = text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '?').trimEnd();
  return clean.length <= charsMax ? clean : `${clean.slice(0, charsMax)}…`;
}

/** The wire form of an error, for the agent's answers. */
export interface ErrorRecord {
  readonly code: string;
  readonly message: string;
  readonly side?: string | undefined;
  readonly phase?: string | undefined;
  readonly location?: string | undefined;
  readonly hint?: string | undefined;
  readonly logs?: readonly string[] | undefined;
}

export function errorToRecord(error: MigrateError): ErrorRecord {
  const { side, phase, location, hint, logs } = error.details;
  return { code: error.code, message: error.message, side, phase, location, hint, logs };
}

export function errorFromRecord(record: ErrorRecord): MigrateError {
  const code = record.code in errorCodes ? (record.code as ErrorCode) : 'PROTOCOL';
  return new MigrateError(code, record.message, {
    ...(record.side === undefined ? {} : { side: record.side as Side }),
    ...(record.phase === undefined ? {} : { phase: tidyText(record.phase) }),
    ...(record.hint === undefined ? {} : { hint: tidyText(record.hint) }),
    ...(record.logs === undefined ? {} : { logs: record.logs.map((log) => tidyText(log)) }),
  });
}
