import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execaSync } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundle } from '../../scripts/bundle.ts';

let dir: string;
let program: string;
const entry = join(import.meta.dirname, '../support/native-entry.ts');

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'native-bundle-'));
  program = join(dir, 'one.cjs');
  await bundle(program, entry);
  mkdirSync(join(dir, 'tmp'));
});

afterAll(() => {
  rmSync(dir, { recursive: true });
});

/** Runs the one file where there is nothing but Node. */
function runAlone(argument: string): { answer: string; loaded: boolean } {
  const env = { TMPDIR: join(dir, 'tmp'), PATH: '/nowhere' };
  const options = { cwd: dir, env, extendEnv: false };
  return JSON.parse(execaSync(process.execPath, [program, argument], options).stdout);
}

test('the one file makes system calls where no package is installed', () => {
  const namespace = /\[(\d+)\]/.exec(readlinkSync('/proc/self/ns/net'))?.[1];
  expect(runAlone('call')).toEqual({ answer: namespace, loaded: true });
});

test('and leaves nothing where it unpacked the library', () => {
  runAlone('call');
  expect(readdirSync(join(dir, 'tmp'))).toEqual([]);
});

test('who makes no system call does not pay for the library', () => {
  expect(runAlone('idle')).toEqual({ answer: 'idle', loaded: false });
});
