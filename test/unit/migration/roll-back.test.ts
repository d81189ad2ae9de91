import { expect, test } from 'vitest';
import { MigrateError } from '../../../src/base/errors.ts';
import { createUndoStack } from '../../../src/base/undo.ts';
import type { JobRecord } from '../../../src/job/record.ts';
import { explainFailure } from '../../../src/migration/roll-back.ts';

const job = { name: 'no-such-job', cgroup: '/nonexistent' } as JobRecord;

test('after the commit nothing is undone and nobody guesses where the job is', async () => {
  const undo = createUndoStack();
  let undone = false;
  undo.push('freeze', () => {
    undone = true;
  });
  const lost = new MigrateError('CONNECTION_LOST', 'the link ended');
  const told = await explainFailure(lost, { job, undo, committed: true, journal: undefined });
  expect(told.code).toBe('HALTED_UNKNOWN');
  expect(told.details.location).toBe('unknown');
  expect(told.details.hint).toContain('migrate recover no-such-job');
  expect(undone).toBe(false);
});

test('before the commit everything is undone', async () => {
  const undo = createUndoStack();
  let undone = false;
  undo.push('freeze', () => {
    undone = true;
  });
  const failed = new MigrateError('RESTORE_CRIU_FAILED', 'CRIU: no');
  await explainFailure(failed, { job, undo, committed: false, journal: undefined });
  expect(undone).toBe(true);
});
