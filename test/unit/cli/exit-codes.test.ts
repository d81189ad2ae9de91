import { expect, test } from 'vitest';
import { exitCodeOf, exitCodes, exitMeanings } from '../../../cli/exit-codes.ts';
import { type ErrorCode, errorCodes } from '../../../src/base/codes.ts';
import { MigrateError } from '../../../src/base/errors.ts';

const exitOf = (code: ErrorCode, details = {}, signal?: NodeJS.Signals) =>
  exitCodeOf(new MigrateError(code, 'x', details), signal);

test('every error code has an exit code, and every exit code a meaning', () => {
  expect(Object.keys(exitCodes).sort()).toEqual(Object.keys(errorCodes).sort());
  for (const exit of Object.values(exitCodes)) expect(exitMeanings).toHaveProperty(String(exit));
});

test('a rollback that failed outranks what it failed after', () => {
  expect(exitOf('DUMP_FAILED')).toBe(14);
  expect(exitOf('DUMP_FAILED', { location: 'source-running' })).toBe(14);
  expect(exitOf('DUMP_FAILED', { location: 'source-frozen' })).toBe(20);
  expect(exitOf('INTERRUPTED', { location: 'source-frozen' }, 'SIGTERM')).toBe(20);
});

test('a job that is not certainly at home is a case for recover', () => {
  expect(exitOf('CONNECTION_LOST', { location: 'unknown' })).toBe(21);
  expect(exitOf('RESTORE_FAILED', { location: 'target-stopped' })).toBe(21);
  expect(exitOf('KERNEL', { location: 'target-running' })).toBe(21);
});

test('what was refused before anything began keeps its code wherever the job is', () => {
  expect(exitOf('BUSY', { location: 'unknown' })).toBe(11);
  expect(exitOf('NO_SUCH_JOB', { location: 'unknown' })).toBe(2);
  expect(exitOf('PLAN_REFUSED', { location: 'source-running' })).toBe(10);
});

test('an internal error says so before anything else', () => {
  expect(exitOf('INTERNAL', { location: 'unknown' })).toBe(70);
});

test('a connection lost while the job is on its way is a failed transfer', () => {
  expect(exitOf('CONNECTION_LOST', { phase: 'connect' })).toBe(12);
  expect(exitOf('CONNECTION_LOST', { phase: 'transfer' })).toBe(15);
  expect(exitOf('PROTOCOL', { phase: 'restore' })).toBe(15);
});

test('a signal shows as the shell would show it', () => {
  expect(exitOf('INTERRUPTED')).toBe(130);
  expect(exitOf('INTERRUPTED', {}, 'SIGINT')).toBe(130);
  expect(exitOf('INTERRUPTED', {}, 'SIGTERM')).toBe(143);
});
