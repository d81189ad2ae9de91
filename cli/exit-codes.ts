import type { ErrorCode } from '../src/base/codes.ts';
import type { JobLocation, MigrateError } from '../src/base/errors.ts';

/** What each exit code promises; docs/operations.md holds the same table, a test compares them. */
export const exitMeanings = {
  0: 'done',
  1: 'failed, runs on the source (or has ended by itself)',
  2: 'usage',
  3: 'done with warnings',
  10: 'plan refused, untouched',
  11: 'busy: another migration holds the job',
  12: 'connection, host key or authentication',
  13: 'bundle unreadable or unsafe',
  14: 'checkpoint failed, runs on the source',
  15: 'transfer failed, runs on the source',
  16: 'restore failed, runs on the source',
  20: 'halted, frozen on the source',
  21: 'halted, outcome unknown until `migrate recover`',
  70: 'internal error',
  130: 'interrupted by SIGINT, runs on the source',
  143: 'interrupted by SIGTERM, runs on the source',
} as const;

export type ExitCode = keyof typeof exitMeanings;

/** The exit code of a failed command: by its code, unless the job's place says something worse. */
export function exitCodeOf(error: MigrateError, signal?: NodeJS.Signals): ExitCode {
  const exit = exitCodes[error.code];
  if (untouched.has(exit) || error.code === 'INTERNAL') return exit;
  const { location = 'source-running', phase = '' } = error.details;
  if (location !== 'source-running') return exitOfPlace[location];
  if (error.code === 'INTERRUPTED' && signal === 'SIGTERM') return 143;
  return exit === 12 && inTransfer.has(phase) ? 15 : exit;
}

/** The exit code of each error code, when the job still runs where it ran. */
export const exitCodes: Readonly<Record<ErrorCode, ExitCode>> = {
  USAGE: 2,
  NO_SUCH_JOB: 2,
  JOB_EXISTS: 2,
  JOB_NOT_RUNNING: 1,
  NOT_CONVERGING: 1,
  JOB_ENDED: 1,
  JOB_START_FAILED: 1,
  BUSY: 11,
  PLAN_REFUSED: 10,
  HOST_UNKNOWN: 12,
  HOST_KEY_UNKNOWN: 12,
  HOST_KEY_CHANGED: 12,
  AUTH_FAILED: 12,
  CONNECTION_LOST: 12,
  AGENT_FAILED: 12,
  PROTOCOL: 12,
  BUNDLE_TRUNCATED: 13,
  BUNDLE_CORRUPT: 13,
  BUNDLE_UNSAFE: 13,
  BUNDLE_VERSION: 13,
  NETWORK_FAILED: 1,
  NETWORK_DIFFERS: 16,
  FREEZE_TIMEOUT: 14,
  DUMP_FAILED: 14,
  TRANSFER_FAILED: 15,
  RESTORE_CRIU_FAILED: 16,
  RESTORE_FAILED: 16,
  MEMORY_LOST: 20,
  TIMED_OUT: 1,
  HALTED_FROZEN: 20,
  HALTED_UNKNOWN: 21,
  INTERRUPTED: 130,
  PROGRAM_FAILED: 1,
  KERNEL: 1,
  INTERNAL: 70,
};

/** These say that nothing was begun, so no place of the job can change them. */
const untouched: ReadonlySet<ExitCode> = new Set([2, 10, 11]);

/** A connection that ends from here on has cost a transfer, not only an attempt. */
const inTransfer: ReadonlySet<string> = new Set(['freeze', 'lock', 'dump', 'transfer', 'restore']);

/** A failure with the job anywhere else than at home needs `migrate recover`. */
const exitOfPlace: Readonly<Record<Exclude<JobLocation, 'source-running'>, ExitCode>> = {
  ended: 1,
  'source-frozen': 20,
  'target-running': 21,
  'target-stopped': 21,
  unknown: 21,
};
