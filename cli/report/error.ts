import {
  type ErrorDetails,
  type JobLocation,
  type MigrateError,
  tidyText,
} from '../../src/base/errors.ts';
import { exitCodeOf } from '../exit-codes.ts';
import { locationInWords, oneLine } from '../words.ts';

/** A failure on a terminal: what failed and where, what to do, and last where the job is now. */
export function errorInWords(error: MigrateError, job?: string): string {
  const { details } = error;
  const [first, ...others] = headlines(error);
  const lines = [`migrate: ${first}`, ...others.map((other) => `also: ${other}`)];
  const hint = details.hint ?? defaultHint(error, job);
  if (hint !== undefined) lines.push(`hint: ${oneLine(hint)}`);
  const logs = details.logs ?? [];
  if (logs.length > 0)
    lines.push(`logs: ${logs.map((log) => oneLine(log)).join(' ')}${on(details)}`);
  if (error.code === 'INTERNAL') lines.push(stackOf(error));
  const location = locationOf(error, job !== undefined);
  if (error.code === 'MEMORY_LOST') lines.push('job: was lost; its copy of before is frozen here');
  else if (location !== undefined) lines.push(`job: ${locationInWords(location, job)}`);
  return `${lines.join('\n')}\n`;
}

/** The last line of `--json` after a failure; every field is always there. */
export function errorRecord(
  error: MigrateError,
  options: { readonly job?: string | undefined; readonly signal?: NodeJS.Signals | undefined },
): object {
  const { phase, hint, logs, side } = error.details;
  return {
    type: 'error',
    code: error.code,
    exit: exitCodeOf(error, options.signal),
    phase: phase ?? null,
    side: side ?? null,
    location: locationOf(error, options.job !== undefined) ?? null,
    message: error.message,
    hint: hint ?? defaultHint(error, options.job) ?? null,
    logs: logs ?? [],
  };
}

/** A move that failed without saying where the job is: the exit code promises it. */
function locationOf(error: MigrateError, moving: boolean): JobLocation | undefined {
  if (error.details.location !== undefined) return error.details.location;
  if (!moving || error.code === 'USAGE' || error.code === 'NO_SUCH_JOB') return undefined;
  if (error.code === 'HALTED_FROZEN') return 'source-frozen';
  return error.code === 'INTERNAL' || error.code === 'HALTED_UNKNOWN'
    ? 'unknown'
    : 'source-running';
}

/** A refused plan names each of its reasons in a line of its own. */
function headlines(error: MigrateError): string[] {
  const lines = error.code === 'PLAN_REFUSED' ? error.message.split('\n') : [error.message];
  const [first = '', ...others] = lines.map((line) => oneLine(line));
  return [headline(error, first), ...others];
}

function headline(error: MigrateError, message: string): string {
  const { phase, side } = error.details;
  if (error.code === 'INTERNAL') return `internal error, please report it: ${message}`;
  if (phase === undefined) return side === 'target' ? `on the target: ${message}` : message;
  return `${oneLine(phase)} failed${on(error.details)}: ${message}`;
}

/** Where it was thrown, not where it became ours. */
function stackOf(error: MigrateError): string {
  const { stack } = error.cause instanceof Error ? error.cause : error;
  return tidyText(stack ?? 'no stack', stackCharsMax);
}

const stackCharsMax = 10_000;

function on({ side }: ErrorDetails): string {
  return side === 'source' || side === 'target' ? ` on the ${side}` : '';
}

function defaultHint(error: MigrateError, job = 'JOB'): string | undefined {
  switch (error.code) {
    case 'HALTED_FROZEN':
    case 'HALTED_UNKNOWN':
      return `type migrate recover ${job}`;
    default:
      return undefined;
  }
}
