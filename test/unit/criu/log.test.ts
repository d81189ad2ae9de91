import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { criuError } from '../../../src/criu/log.ts';

const directory = mkdtempSync(join(tmpdir(), 'criu-log-'));
afterAll(() => rmSync(directory, { recursive: true }));

const kept = join(directory, 'kept.log');

function logOf(text: string): string {
  const path = join(directory, 'dump.log');
  writeFileSync(path, text);
  return path;
}

test('the first real error is told, with what to do about it', async () => {
  const path = logOf(
    [
      "(00.000880) Error (criu/util.c:1534): rlimit: Can't setup RLIMIT_NOFILE for self: no",
      "(00.021) 1: Error (criu/files-reg.c:2143): Can't open file srv/x on restore: No such file",
      '(00.022) Error (criu/cr-restore.c:1): Restoring FAILED.',
    ].join('\n'),
  );
  const error = await criuError('RESTORE_CRIU_FAILED', path, 1, kept);
  expect(error.message).toBe("CRIU: Can't open file srv/x on restore: No such file");
  expect(error.details.hint).toMatch(/must be on the target/);
  expect(error.details.logs).toEqual([kept]);
});

test('a criu that said nothing is told by its status', async () => {
  const error = await criuError('DUMP_FAILED', join(directory, 'none.log'), 127, kept);
  expect(error.message).toBe('CRIU: ended with status 127');
});
