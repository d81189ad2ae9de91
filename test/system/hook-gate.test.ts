import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, expect, test } from 'vitest';
import { compileNative } from '../../scripts/build-native.ts';
import { hookGateBase64 } from '../../src/criu/hook/gate.ts';

const directory = mkdtempSync(join(tmpdir(), 'hook-gate-test-'));
const gate = join(directory, 'hook');
writeFileSync(gate, Buffer.from(hookGateBase64, 'base64'), { mode: 0o700 });
writeFileSync(`${gate}.sh`, 'echo "$CRTOOLS_SCRIPT_ACTION for $PPID"; exit 7\n');
afterAll(() => rmSync(directory, { recursive: true }));

function at(action?: string) {
  const env = { PATH: '/usr/bin:/bin', ...(action && { CRTOOLS_SCRIPT_ACTION: action }) };
  return execa(gate, [], { env, extendEnv: false, reject: false });
}

test('the gate that is checked in is the source compiled', () => {
  expect(compileNative('hookGate').toString('base64')).toBe(hookGateBase64);
});

test.each(['pre-dump', 'post-dump', 'pre-resume', 'post-resume'])(
  '%s: the hook runs',
  async (ours) => {
    expect(await at(ours)).toMatchObject({ stdout: `${ours} for ${process.pid}`, exitCode: 7 });
  },
);

test.each(['network-lock', 'post-restore', 'pre-dump-more', 'pre', '', undefined])(
  '%s: nothing runs',
  async (other) => {
    expect(await at(other)).toMatchObject({ stdout: '', exitCode: 0 });
  },
);
