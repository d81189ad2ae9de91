import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { quietPid } from '../../../src/job/quiet-pid.ts';

describe('a process id for what restores', () => {
  it('has room for a thousand programs before the next one that is taken', () => {
    const pids = fc.array(fc.integer({ min: 1, max: 4_000_000 }), { maxLength: 200 });
    fc.assert(
      fc.property(pids, (taken) => {
        const chosen = quietPid(taken, 4_194_304);
        expect(chosen).toBeGreaterThan(300);
        const next = taken.filter((pid) => pid > chosen).sort((a, b) => a - b)[0] ?? 4_194_304;
        expect(next - chosen).toBeGreaterThan(1_000);
      }),
    );
  });

  it('is refused when a process has a number that this host does not give', () => {
    expect(() => quietPid([40_000], 32_768)).toThrow(/process id 40000/);
  });

  it('is refused when nothing is free', () => {
    const taken = Array.from({ length: 400 }, (_, index) => 301 + index * 80);
    expect(() => quietPid(taken, 32_768)).toThrow(/no 2000 process ids/);
  });
});
