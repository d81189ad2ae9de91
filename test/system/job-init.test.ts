import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, expect, test } from 'vitest';
import { compileNative } from '../../scripts/build-native.ts';
import { jobInitBase64 } from '../../src/job/init/program.ts';

const directory = mkdtempSync(join(tmpdir(), 'job-init-test-'));
const program = join(directory, 'job-init');
writeFileSync(program, Buffer.from(jobInitBase64, 'base64'));
chmodSync(program, 0o755);
afterAll(() => rmSync(directory, { recursive: true }));

function inNamespace(...command: string[]) {
  const args = ['--pid', '--fork', '--kill-child', program, ...command];
  return execa('unshare', args, { reject: false, timeout: 20_000 });
}

test('the program that is checked in is the source compiled', () => {
  expect(compileNative('jobInit').toString('base64')).toBe(jobInitBase64);
});

test('its exit status is that of the program', async () => {
  expect((await inNamespace('/bin/sh', '-c', 'exit 3')).exitCode).toBe(3);
  expect((await inNamespace('/bin/sh', '-c', 'kill -KILL $$')).exitCode).toBe(137);
  expect((await inNamespace('/nonexistent')).exitCode).toBe(127);
});

test('a program that goes into the background keeps the job alive until it ends', async () => {
  const { stdout, exitCode } = await inNamespace(
    '/bin/sh',
    '-c',
    '(sleep 0.3; echo late) & exit 4',
  );
  expect(stdout).toBe('late');
  expect(exitCode).toBe(4);
});

test('orphans are reaped', async () => {
  const script = '(true & exit) ; sleep 0.2; ps -o stat= --ppid 1 | grep -c Z || true';
  const { stdout } = await execa('unshare', [
    ...['--pid', '--fork', '--mount-proc', '--kill-child', program, '/bin/sh', '-c', script],
  ]);
  expect(stdout.trim()).toBe('0');
});

test('a signal reaches the program', async () => {
  const script = 'trap "exit 7" TERM; kill -TERM 1; sleep 1 & wait';
  expect((await inNamespace('/bin/sh', '-c', script)).exitCode).toBe(7);
});
