import { afterAll, beforeAll, expect, test } from 'vitest';
import { labCommand } from '../lab/machine.ts';

const lab = labCommand(`vp${process.pid}`);

beforeAll(async () => {
  const up = await lab('up', 'a', '--backend', 'vm');
  expect(up.code, up.err).toBe(0);
});

afterAll(async () => {
  await lab('down');
});

test('a command in a guest whose kernel panics ends with it', async () => {
  const words = ['sh', '-c', 'sleep 1; echo c >/proc/sysrq-trigger; sleep 600'];
  const ended = await lab('exec', 'a', '--', ...words);
  expect(ended).toMatchObject({ code: 1, err: 'lab: a died' });
});
