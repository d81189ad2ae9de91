import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createAskedPages } from '../../../src/memory/asked.ts';
import { pageBytes } from './samples.ts';

const one = { pid: 1, runs: [{ start: pageBytes, pages: 1 }] };
const other = { pid: 2, runs: [{ start: 0, pages: 3 }] };

/** Whether a promise has resolved when everything else has had its turn. */
async function hasResolved(promise: Promise<void>): Promise<boolean> {
  let done = false;
  void promise.then(() => {
    done = true;
  });
  await turn();
  return done;
}

test('what was asked for first comes first', () => {
  const asked = createAskedPages();
  expect(asked.next()).toBeUndefined();
  asked.ask(one);
  asked.ask(other);
  expect([asked.next(), asked.next(), asked.next()]).toEqual([one, other, undefined]);
});

test('who waits hears when something is asked for', async () => {
  const asked = createAskedPages();
  const waiting = asked.wait();
  expect(await hasResolved(waiting)).toBe(false);
  asked.ask(one);
  expect(await hasResolved(waiting)).toBe(true);
  expect(asked.isReleased).toBe(false);
  expect(await hasResolved(asked.wait())).toBe(true);
  asked.next();
  expect(await hasResolved(asked.wait())).toBe(false);
});

test('who waits hears when all may be sent, and never waits again', async () => {
  const asked = createAskedPages();
  const waiting = asked.wait();
  asked.release();
  expect(await hasResolved(waiting)).toBe(true);
  expect(asked.isReleased).toBe(true);
  expect(await hasResolved(asked.wait())).toBe(true);
});
