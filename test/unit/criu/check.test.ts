import { expect, test } from 'vitest';
import { criuRefusal } from '../../../src/criu/check.ts';

test.each([
  ['3.17.1', '6.18.44-x', 'does not start'],
  ['4.1.1', '6.18.44-x', 'cannot dump TCP'],
  ['4.1.1', '6.12.0-1-amd64', undefined],
  ['4.2.1', '6.18.44-x', undefined],
  ['3.17.1', '6.1.0-40-amd64', undefined],
])('CRIU %s on kernel %s: %s', (version, kernel, why) => {
  const refusal = criuRefusal(version, kernel);
  if (why === undefined) expect(refusal).toBeUndefined();
  else
    expect(refusal).toMatchObject({ code: 'PLAN_REFUSED', message: expect.stringContaining(why) });
});
