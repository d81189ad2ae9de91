import { expect, test } from 'vitest';
import { createRecord } from '../../../demo/record.ts';
import { createShow } from '../../../demo/show.ts';

const answer = (at: number, ms = 1, mac = 'aa') => ({ at, ms, connections: 1, status: 200, mac });
const loss = (at: number) => ({ at, ms: 1, connections: 2, lost: 'ConnectionResetError: reset' });

test('silence is the longest time between two answers, and a lost request does not end it', () => {
  const record = createRecord();
  for (const one of [
    answer(0),
    answer(10),
    loss(200),
    answer(310),
    { ...answer(320), connections: 2 },
  ])
    record.add(one);
  expect(record.total()).toEqual({
    answered: 4,
    lost: 1,
    silenceMs: 300,
    connections: 2,
    firstLoss: 'ConnectionResetError: reset',
  });
});

test('the silence of a stretch begins with the last answer before it', () => {
  const record = createRecord();
  for (const one of [answer(0), answer(500), answer(510)]) record.add(one);
  record.begin();
  for (const one of [answer(600), answer(610)]) record.add(one);
  expect(record.stretch()).toEqual({ answered: 2, lost: 0, silenceMs: 90 });
});

test('answers share a line until the host changes or one is slow', () => {
  let printed = '';
  const show = createShow({
    write: (text) => {
      printed += text;
    },
    isTerminal: false,
    hostOf: (mac) => ({ aa: 'a', bb: 'b' })[mac] ?? '?',
  });
  show.answer(answer(0));
  show.answer(answer(10, 2.5));
  show.answer(answer(230, 220, 'bb'));
  show.answer(answer(240, 1, 'bb'));
  show.flush();
  expect(printed.split('\n')).toEqual([
    '  0.01 s  200 from a    2 answered, slowest 2.5 ms',
    '  0.23 s  200 from b    1 answered, slowest 220 ms',
    '  0.24 s  200 from b    1 answered, slowest 1.0 ms',
    '',
  ]);
});
