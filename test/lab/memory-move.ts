import { expect } from 'vitest';
import type { MoveResult } from '../../src/index.ts';
import type { World } from './world.ts';

export type MemoryMove = MoveResult;

/** A move that hangs would cost the whole run; in an emulated guest one takes a minute or two. */
const limitS = 300;

/** Moves a job with options of the command line; anything but exit 0 or 3 fails the test. */
export async function moveMemory(
  world: World,
  job: string,
  from: string,
  to: string,
  options: string,
): Promise<MemoryMove> {
  const { code, out, err } = await world.sh(
    from,
    `timeout ${limitS} migrate ${job} ${to} ${options} --json`,
  );
  const last = out.split('\n').at(-1) ?? '';
  expect([0, 3], `${job}: ${from} -> ${to} ${options}: ${last}\n${err}`).toContain(code);
  return JSON.parse(last) as MemoryMove;
}
