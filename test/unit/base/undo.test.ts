import { expect, test } from 'vitest';
import { createUndoStack } from '../../../src/base/undo.ts';

test('a rollback runs every inverse, the last pushed first', async () => {
  const undo = createUndoStack();
  const order: string[] = [];
  undo.push('address', () => void order.push('address'));
  undo.push('lock', async () => void order.push('lock'));
  expect(await undo.rollback()).toEqual([]);
  expect(order).toEqual(['lock', 'address']);
});

test('an inverse that fails neither hides the others nor throws', async () => {
  const undo = createUndoStack();
  const order: string[] = [];
  undo.push('first', () => void order.push('first'));
  undo.push('broken', () => {
    throw new Error('no such device');
  });
  const failures = await undo.rollback();
  expect(failures.map(({ message }) => message)).toEqual(['no such device']);
  expect(order).toEqual(['first']);
});

test('what was committed or forgotten is not undone', async () => {
  const undo = createUndoStack();
  const order: string[] = [];
  undo.push('kept', () => void order.push('kept'));
  undo.push('forgotten', () => void order.push('forgotten'));
  undo.forget('forgotten');
  await undo.rollback();
  undo.push('final', () => void order.push('final'));
  undo.commit();
  await undo.rollback();
  expect(order).toEqual(['kept']);
});
