import { expect, test } from 'vitest';
import { chooseMode, type ModeFacts, smallJobBytes } from '../../../src/migration/choose-mode.ts';

const facts: ModeFacts = {
  wish: 'auto',
  memoryBytes: 1024 * 1024 * 1024,
  notLazy: undefined,
  softDirty: false,
};
const lazy = { lazy: true, mayFollow: false };
const inImages = { mode: 'stop-copy', lazy: false, tracking: 'none', mayFollow: false };

test.each<[string, Partial<ModeFacts>, object]>([
  ['auto, small', { memoryBytes: smallJobBytes }, inImages],
  ['auto', {}, { lazy: true, mode: 'pre-copy', tracking: 'digest', mayFollow: true }],
  [
    'auto, with a kernel that tracks',
    { softDirty: true },
    { lazy: true, mode: 'pre-copy', tracking: 'soft-dirty', mayFollow: true },
  ],
  ['stop-copy', { wish: 'stop-copy' }, { ...inImages, lazy: true }],
  ['stop-copy, small', { wish: 'stop-copy', memoryBytes: smallJobBytes }, inImages],
  ['pre-copy', { wish: 'pre-copy' }, { ...lazy, mode: 'pre-copy', tracking: 'digest' }],
  [
    'pre-copy, small',
    { wish: 'pre-copy', memoryBytes: 1 },
    { ...lazy, mode: 'pre-copy', tracking: 'digest' },
  ],
  [
    'pre-copy, with a kernel that tracks',
    { wish: 'pre-copy', softDirty: true },
    { ...lazy, mode: 'pre-copy', tracking: 'soft-dirty' },
  ],
  ['post-copy', { wish: 'post-copy' }, { ...lazy, mode: 'post-copy', tracking: 'none' }],
  [
    'post-copy, with a kernel that tracks',
    { wish: 'post-copy', softDirty: true },
    { ...lazy, mode: 'post-copy', tracking: 'soft-dirty' },
  ],
])('%s', (_, differs, plan) => {
  expect(chooseMode({ ...facts, ...differs })).toMatchObject(plan);
});

test('auto: memory that must travel inside of its images does, and the plan says why', () => {
  const plan = chooseMode({ ...facts, notLazy: 'no PAGEMAP_SCAN' });
  expect(plan).toEqual({ ...inImages, why: 'no PAGEMAP_SCAN' });
});

test('stop-copy does not need a lazy restore', () => {
  const plan = chooseMode({ ...facts, wish: 'stop-copy', notLazy: 'no PAGEMAP_SCAN' });
  expect(plan).toMatchObject(inImages);
});

test.each(['pre-copy', 'post-copy'] as const)('%s is refused for such memory', (wish) => {
  expect(chooseMode({ ...facts, wish, notLazy: 'no PAGEMAP_SCAN', softDirty: true })).toEqual({
    message: `--mode ${wish} is not possible: no PAGEMAP_SCAN`,
    hint: 'use --mode stop-copy',
  });
});

test('every plan says why in words', () => {
  for (const wish of ['auto', 'stop-copy', 'pre-copy', 'post-copy'] as const) {
    expect(chooseMode({ ...facts, wish })).toHaveProperty('why', expect.stringMatching(/\w \w/));
  }
});
