import { expect, test } from 'vitest';
import { MigrateError } from '../../../src/base/errors.ts';
import { createPhases } from '../../../src/migration/phases.ts';

test('an error carries the name of the phase that it came from', async () => {
  const phases = createPhases({ onEvent: () => undefined });
  const failing = phases.run('dump', async () => {
    throw new MigrateError('DUMP_FAILED', 'CRIU: no');
  });
  await expect(failing).rejects.toMatchObject({ code: 'DUMP_FAILED', details: { phase: 'dump' } });
  expect(phases.list.map(({ name }) => name)).toEqual(['dump']);
});

test('a signal stops a move before its next phase, but not after the commit', async () => {
  const abort = new AbortController();
  const phases = createPhases({ signal: abort.signal, onEvent: () => undefined });
  abort.abort();
  await expect(phases.run('freeze', async () => 1)).rejects.toMatchObject({ code: 'INTERRUPTED' });
  phases.pointOfNoReturn();
  await expect(phases.run('resume', async () => 2)).resolves.toBe(2);
});

test('a move that takes too long is stopped', () => {
  const phases = createPhases({ timeoutMs: -1, onEvent: () => undefined });
  expect(() => phases.check()).toThrow(/took longer/);
});

test('every phase is told when it begins', async () => {
  const told: string[] = [];
  const phases = createPhases({
    onEvent: (event) => {
      if (event.type === 'phase') told.push(event.name);
    },
  });
  await phases.run('connect', async () => undefined);
  await phases.run('plan', async () => undefined);
  expect(told).toEqual(['connect', 'plan']);
});

test('while something is waited for, what it comes to is the answer', async () => {
  const phases = createPhases({ timeoutMs: 60_000, onEvent: () => undefined });
  await expect(phases.orStopped(Promise.resolve(3))).resolves.toBe(3);
  const failing = Promise.reject(new MigrateError('TRANSFER_FAILED', 'no'));
  await expect(phases.orStopped(failing)).rejects.toMatchObject({ code: 'TRANSFER_FAILED' });
});

test('a signal ends the wait for something that never comes', async () => {
  const abort = new AbortController();
  const phases = createPhases({ signal: abort.signal, onEvent: () => undefined });
  const waiting = phases.orStopped(new Promise(() => undefined));
  abort.abort();
  await expect(waiting).rejects.toMatchObject({ code: 'INTERRUPTED' });
  await expect(phases.orStopped(new Promise(() => undefined))).rejects.toMatchObject({
    code: 'INTERRUPTED',
  });
});

test('so does the time that a move may take', async () => {
  const phases = createPhases({ timeoutMs: 20, onEvent: () => undefined });
  const never = new Promise(() => undefined);
  await expect(phases.orStopped(never)).rejects.toMatchObject({ code: 'TIMED_OUT' });
});

test('after the commit nothing ends the wait', async () => {
  const abort = new AbortController();
  const phases = createPhases({ timeoutMs: 1, signal: abort.signal, onEvent: () => undefined });
  phases.pointOfNoReturn();
  const work = new Promise((resolve) => setTimeout(() => resolve('done'), 30));
  const waiting = phases.orStopped(work);
  abort.abort();
  await expect(waiting).resolves.toBe('done');
});
