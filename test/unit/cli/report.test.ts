import { expect, test } from 'vitest';
import { errorInWords } from '../../../cli/report/error.ts';
import { resultInWords } from '../../../cli/report/move.ts';
import { outline, table } from '../../../cli/report/table.ts';
import { bytesInWords, msInWords } from '../../../cli/words.ts';
import type { ErrorCode } from '../../../src/base/codes.ts';
import { type JobLocation, MigrateError } from '../../../src/base/errors.ts';
import type { LostWish, MoveEvent, Recovery } from '../../../src/index.ts';
import { moved, runCli, webJob } from '../../support/fake-cli.ts';

const failure = new MigrateError('RESTORE_CRIU_FAILED', 'Error (criu/tty.c:1): no such tty\nmore', {
  side: 'target',
  phase: 'restore',
  location: 'source-running',
  hint: 'start the job without a terminal',
  logs: ['/run/migrate/moves/m1/restore.log'],
});

const failing = { moveJob: () => Promise.reject(failure) };

const events: MoveEvent[] = [
  { type: 'begin', id: 'm1', job: 'web', kind: 'l3', target: 'b' },
  { type: 'phase', name: 'connect', startMs: 0.4 },
  { type: 'phase', name: 'transfer', startMs: 612.4 },
  { type: 'progress', name: 'transfer', wireBytes: 4_194_304 },
];

function moving(result = moved) {
  return {
    moveJob: async (_job: string, _host: string, options: { onEvent(event: MoveEvent): void }) => {
      for (const event of events) options.onEvent(event);
      return result;
    },
  };
}

test('a failed move says what failed and where, what to do, and last where the job is', async () => {
  const { status, out, err } = await runCli(['web', 'b'], { api: failing });
  expect(status).toBe(16);
  expect(out).toBe('');
  expect(err).toBe(`migrate: restore failed on the target: Error (criu/tty.c:1): no such tty more
hint: start the job without a terminal
logs: /run/migrate/moves/m1/restore.log on the target
job: runs on the source
`);
});

test('a failed move is one error line of JSON, with every field', async () => {
  const { status, out, err } = await runCli(['web', 'b', '--json'], { api: failing });
  expect(status).toBe(16);
  expect(err).toBe('');
  expect(JSON.parse(out)).toEqual({
    type: 'error',
    code: 'RESTORE_CRIU_FAILED',
    exit: 16,
    phase: 'restore',
    side: 'target',
    location: 'source-running',
    message: 'Error (criu/tty.c:1): no such tty\nmore',
    hint: 'start the job without a terminal',
    logs: ['/run/migrate/moves/m1/restore.log'],
  });
});

test.each<[ErrorCode, JobLocation | undefined, string]>([
  ['AUTH_FAILED', undefined, 'job: runs on the source'],
  ['HALTED_FROZEN', undefined, 'job: is frozen on the source until `migrate recover web` thaws it'],
  [
    'HALTED_UNKNOWN',
    undefined,
    'job: is on one of the hosts; `migrate recover web` finds out on which',
  ],
  [
    'CONNECTION_LOST',
    'target-stopped',
    'job: is stopped on the target until `migrate recover web` goes on',
  ],
  ['KERNEL', 'target-running', 'job: runs on the target'],
])('after %s at %s the last line is: %s', (code, location, line) => {
  const error = new MigrateError(code, 'x', location === undefined ? {} : { location });
  expect(errorInWords(error, 'web').trimEnd().split('\n').at(-1)).toBe(line);
});

test('a halt says what to type even when nobody gave a hint', () => {
  const text = errorInWords(new MigrateError('HALTED_FROZEN', 'the thaw failed'), 'web');
  expect(text).toContain('hint: type migrate recover web\n');
});

test('an internal error shows its stack', () => {
  const text = errorInWords(new MigrateError('INTERNAL', 'assertion failed: x'));
  expect(text).toMatch(/^migrate: internal error, please report it: assertion failed: x\n/);
  expect(text).toContain('report.test.ts');
});

test('text from outside cannot steer the terminal', () => {
  const error = new MigrateError('DUMP_FAILED', 'a\u001b[2Jb\r\nmigrate: forged', {
    hint: '\u009bx',
    logs: ['/x\u0007'],
  });
  expect(errorInWords(error)).toBe(`migrate: a?[2Jb? migrate: forged
hint: ?x
logs: /x?
`);
});

test('a move without a terminal is a line a phase, and last where the job is', async () => {
  const { status, out, err } = await runCli(['web', 'b'], { api: moving() });
  expect(status).toBe(0);
  expect(err).toBe(`web -> b
   0.4 ms  connect
   612 ms  transfer
`);
  expect(out).toBe('web: frozen 41.2 ms of 812 ms, 4.0 MiB sent for 17 MiB of memory, runs on b\n');
});

test('a move on a terminal is one line that is written again', async () => {
  const { out, err } = await runCli(['web', 'b'], { api: moving(), terminal: true });
  expect(err.split('\r\u001b[K')).toEqual([
    '',
    'web -> b',
    'web -> b  connect',
    'web -> b  transfer',
    'web -> b  transfer  4.0 MiB',
    '',
  ]);
  expect(out).toBe(`${resultInWords(moved)}\n`);
});

test('a quiet move says nothing but its warnings', async () => {
  expect(await runCli(['web', 'b', '--quiet'], { api: moving() })).toMatchObject({
    status: 0,
    out: '',
    err: '',
  });
  const warned = { ...moved, warnings: ['one route\nwas not made'] };
  expect(await runCli(['web', 'b', '--quiet'], { api: moving(warned) })).toMatchObject({
    status: 3,
    out: '',
    err: 'warning: one route was not made\n',
  });
});

test('a move in JSON is its events, then its result', async () => {
  const { out, err } = await runCli(['web', 'b', '--json'], { api: moving() });
  expect(err).toBe('');
  const lines = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines).toEqual([...events, moved]);
});

test('an interrupted move ends as the shell expects', async () => {
  const api = { moveJob: () => Promise.reject(new MigrateError('INTERRUPTED', 'rolled back')) };
  const { status, err } = await runCli(['web', 'b'], { api, signal: 'SIGTERM' });
  expect(status).toBe(143);
  expect(err).toBe(
    'migrate: a signal ended the move, it was rolled back\njob: runs on the source\n',
  );
});

test('what fails because of a signal counts as the signal, unless the job is not at home', async () => {
  const failWith = (code: ErrorCode, location: JobLocation) => ({
    moveJob: () => Promise.reject(new MigrateError(code, 'x', { location, phase: 'plan' })),
  });
  const run = async (code: ErrorCode, location: JobLocation) =>
    JSON.parse(
      (await runCli(['web', 'b', '--json'], { api: failWith(code, location), signal: 'SIGINT' }))
        .out,
    );
  expect(await run('DUMP_FAILED', 'source-running')).toMatchObject({
    code: 'INTERRUPTED',
    exit: 130,
    phase: 'plan',
  });
  expect(await run('HALTED_FROZEN', 'source-frozen')).toMatchObject({
    code: 'HALTED_FROZEN',
    exit: 20,
  });
});

test('ls is a table, and in JSON a line a job', async () => {
  const ended = { ...webJob, name: 'a-long-name', state: 'ended' as const };
  const api = { listJobs: async () => [webJob, ended] };
  expect((await runCli(['ls'], { api })).out).toBe(
    `NAME         KIND  STATE    PID   ADDRESSES     COMMAND
web          l3    running  1234  10.77.1.1/16  nginx -g daemon off;
a-long-name  l3    ended    -     10.77.1.1/16  nginx -g daemon off;
`,
  );
  const { out } = await runCli(['ls', '--json'], { api });
  expect(JSON.parse(out.split('\n')[1] ?? '')).toEqual({ type: 'job', ...ended });
});

test('recover says what was done and where each job is, and fails while one is lost', async () => {
  const recovery = (job: string, location: JobLocation): Recovery => ({
    job,
    id: 'm',
    action: 'nothing' as const,
    location,
  });
  const answer = (...list: Recovery[]) => ({
    async recoverJobs(_name: string | undefined, tell: (recovery: Recovery) => void) {
      for (const recovery of list) tell(recovery);
    },
  });
  expect(await runCli(['recover'], { api: answer() })).toMatchObject({
    status: 0,
    out: 'nothing to recover\n',
  });
  const done = { ...recovery('web', 'source-running'), action: 'rolled-back' as const };
  expect(await runCli(['recover'], { api: answer(done) })).toMatchObject({
    status: 0,
    out: 'web: rolled-back, runs on the source\n',
  });
  const frozen = recovery('db', 'source-frozen');
  expect((await runCli(['recover'], { api: answer(done, frozen) })).status).toBe(20);
  const lost = recovery('mq', 'unknown');
  expect((await runCli(['recover'], { api: answer(frozen, lost) })).status).toBe(21);
});

test('recover names the ways out of a job that post-copy lost, and passes on which to take', async () => {
  const heard: unknown[] = [];
  const api = {
    async recoverJobs(
      _name: string | undefined,
      tell: (recovery: Recovery) => void,
      lost?: LostWish,
    ) {
      heard.push(lost);
      tell({ job: 'db', id: 'm', action: 'lost', location: 'source-frozen' });
    },
  };
  const { status, out } = await runCli(['recover', 'db'], { api });
  expect(status).toBe(20);
  expect(out).toContain('`migrate recover db --lost resume` or `--lost end`');
  await runCli(['recover', 'db', '--lost', 'end'], { api });
  expect(heard).toEqual([undefined, 'end']);
  expect((await runCli(['recover', 'db', '--lost', 'never'], { api })).status).toBe(2);
  // Nobody decides about jobs that he has not been told of.
  expect((await runCli(['recover', '--lost', 'end'], { api })).status).toBe(2);
});

test('status filters by job', async () => {
  const move = { job: 'web', id: 'm1', target: 'b', state: 'prepared' };
  const api = { listMoves: async () => [{ ...move, location: 'source-running' as const }] };
  expect((await runCli(['status', 'db'], { api })).out).toBe('no move is under way\n');
  expect((await runCli(['status', 'web'], { api })).out).toBe(
    `JOB  ID  TARGET  STATE     LOCATION
web  m1  b       prepared  source-running
`,
  );
});

test('a checkpoint says last where the job is', async () => {
  const size = { bytes: 4_194_304, memoryBytes: 17_825_792 };
  const result = { ...size, frozenMs: 40, sha256: 'ab', warnings: [] };
  const api = { checkpointJob: async () => result };
  expect((await runCli(['checkpoint', 'web', '-o', 'w.b'], { api })).out).toBe(
    'web: frozen 40.0 ms, 4.0 MiB for 17 MiB of memory, is in w.b\n',
  );
  const { out } = await runCli(['checkpoint', 'web', '-o', 'w.b', '--json'], { api });
  expect(JSON.parse(out)).toEqual({
    type: 'checkpoint',
    job: 'web',
    file: 'w.b',
    leaveRunning: false,
    ...result,
  });
});

test('exec ends with the status of the program', async () => {
  expect(
    (await runCli(['exec', 'web', 'false'], { api: { execInJob: async () => 42 } })).status,
  ).toBe(42);
});

test('an outline is indented, one leaf a line', () => {
  expect(outline({ a: 1, b: { c: ['x', 'y'], d: undefined }, e: [{ f: null }] })).toBe(
    'a: 1\nb:\n  c: x y\ne:\n  -\n    f: null\n',
  );
});

test('columns are as wide as their widest cell, and a line break stays in its row', () => {
  expect(table(['A', 'B'], [['long', 'x\ny']])).toBe('A     B\nlong  x y\n');
});

test('numbers are short', () => {
  expect([0, 1023, 1024, 10_240, 17_825_792, 2 ** 41].map(bytesInWords)).toEqual([
    '0 B',
    '1023 B',
    '1.0 KiB',
    '10 KiB',
    '17 MiB',
    '2.0 TiB',
  ]);
  expect([0.04, 41.23, 812.4, 9_999, 12_345].map(msInWords)).toEqual([
    '0.0 ms',
    '41.2 ms',
    '812 ms',
    '9999 ms',
    '12.3 s',
  ]);
});
