import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runCli } from '../../support/fake-cli.ts';

/** Every command that help shows; `agent` and those of later versions are hidden. */
const commands = [
  [],
  ['run'],
  ['ls'],
  ['show'],
  ['exec'],
  ['logs'],
  ['stop'],
  ['rm'],
  ['checkpoint'],
  ['restore'],
  ['bundle'],
  ['bundle', 'show'],
  ['bundle', 'verify'],
  ['bundle', 'extract'],
  ['status'],
  ['recover'],
];

test.each(commands.map((words) => [words]))(
  'help of migrate %j is as it was reviewed',
  async (words) => {
    const { status, out, err } = await runCli([...words, '--help']);
    expect(status).toBe(0);
    expect(err).toBe('');
    const name = ['migrate', ...words].join('-');
    await expect(out).toMatchFileSnapshot(join(import.meta.dirname, 'help', `${name}.txt`));
  },
);

test('every command is in the list above or hidden', async () => {
  const { out } = await runCli(['--help']);
  const listed = [...out.matchAll(/^ {2}([a-z]+)[ \n].* {2,}/gm)].map((match) => match[1]);
  const names = new Set(commands.map((words) => words[0] ?? 'help'));
  expect(new Set(listed)).toEqual(names);
});
