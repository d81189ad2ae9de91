import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { labCommand, tracesOf } from './machine.ts';

const NAME = `d${process.pid}`;
const FIRST_BUILD_MS = 600_000;
/** The machine's own init buries the dead, in its own time. */
const SOON = { timeout: 5_000 };

test(
  'the demo moves a web server there and back, loses no request, and leaves nothing',
  async () => {
    const argv = ['--import', 'tsx', join(import.meta.dirname, '../../demo/main.ts')];
    const demo = await execa('node', argv, { env: { LAB: NAME }, reject: false });
    expect(demo.exitCode, demo.stderr).toBe(0);
    expect(demo.stdout).toMatch(/^a -> b .* 0$/m);
    expect(demo.stdout).toMatch(/^b -> a .* 0$/m);
    expect(demo.stdout).toMatch(/^lost 0 of \d{3,} requests, on one connection$/m);
    expect((await labCommand(NAME)('ls')).code).toBe(2);
    await expect.poll(() => tracesOf(NAME, new Set()), SOON).toEqual([]);
  },
  FIRST_BUILD_MS,
);
