/**
 * The closed list of error codes: what each one means and what a person can do about it.
 * cli/exit-codes.ts gives each its exit code and docs/operations.md lists them; a test compares.
 */
export const errorCodes = {
  USAGE: 'The command line is wrong.',
  NO_SUCH_JOB: 'No job of that name runs on this host.',
  JOB_EXISTS: 'A job of that name exists already.',
  JOB_NOT_RUNNING: 'The job has ended, or is frozen.',
  JOB_ENDED: 'The job ended while it was being moved or checkpointed; it runs nowhere.',
  JOB_START_FAILED: 'The program of the job could not be started.',
  BUSY: 'Another migration holds the job.',
  PLAN_REFUSED: 'The plan names a reason why the move would fail; nothing was touched.',
  HOST_UNKNOWN: 'The name of the host does not resolve, or nothing answers there.',
  HOST_KEY_UNKNOWN: 'The host key is not in known_hosts.',
  HOST_KEY_CHANGED: 'The host key differs from the one in known_hosts, or is revoked.',
  AUTH_FAILED: 'The host did not accept any of our keys.',
  CONNECTION_LOST: 'The SSH connection ended.',
  AGENT_FAILED: 'The agent on the other host could not be started or speaks another version.',
  PROTOCOL: 'The other side sent something that the protocol does not allow.',
  BUNDLE_TRUNCATED: 'The bundle ends before its last frame.',
  BUNDLE_CORRUPT: 'A digest of the bundle does not match its content.',
  BUNDLE_UNSAFE: 'The bundle holds something that a bundle must not hold.',
  BUNDLE_VERSION: 'The bundle was written by a newer version.',
  NETWORK_FAILED: 'A part of the network identity could not be read or made.',
  NETWORK_DIFFERS: 'What was built on the target is not what was captured on the source.',
  FREEZE_TIMEOUT: 'The tasks of the job did not stop in time.',
  DUMP_FAILED: 'CRIU could not dump the job.',
  TRANSFER_FAILED: 'The bundle did not arrive whole.',
  RESTORE_CRIU_FAILED: 'CRIU could not restore the job.',
  RESTORE_FAILED: 'The target could not rebuild the job.',
  NOT_CONVERGING:
    'The job writes faster than its memory can be sent, and --max-frozen allows no more.',
  MEMORY_LOST:
    'The job ran on the target and was killed, because its memory did not follow it there.',
  TIMED_OUT: 'The move took longer than its --timeout.',
  HALTED_FROZEN: 'The rollback failed; the job is frozen on the source.',
  HALTED_UNKNOWN: 'The answer to the commit was lost; `migrate recover` finds out.',
  INTERRUPTED: 'A signal ended the move; it was rolled back.',
  PROGRAM_FAILED: 'A program of the host failed.',
  KERNEL: 'The kernel refused a system call.',
  INTERNAL: 'An assertion of our own failed; please report it.',
} as const;

export type ErrorCode = keyof typeof errorCodes;
