import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundle } from '../../scripts/bundle.ts';
import { labCommand } from '../lab/machine.ts';
import type { Case, Outcome } from './cases.ts';

/** Declares a test for each case, on this machine's kernel; a case that cannot run says why. */
export function casesHere(title: string, cases: readonly Case[]): void {
  describe(title, () => {
    for (const one of cases) {
      test(one.name, async ({ skip }) => {
        const lacks = one.lacks?.();
        skip(lacks !== undefined, lacks);
        await one.run();
      });
    }
  });
}

/**
 * Declares a test for each case, in a virtual machine of a lab of its own. `file` is the name of
 * the file in test/cases that exports them. They run together, before the first test, in one
 * program; what a guest lacks is a failure there, because a guest has Debian's whole kernel.
 */
export function casesInGuest(title: string, file: string, cases: readonly Case[]): void {
  describe(title, () => {
    const lab = labCommand(`c${process.pid}`);
    let outcomes = new Map<string, Outcome>();

    beforeAll(async () => {
      const up = await lab('up', guest, '--backend', 'vm');
      expect(up.code, up.err).toBe(0);
      outcomes = await runInHost(lab, file);
    });

    afterAll(async () => {
      await lab('down');
    });

    test.each(cases.map(({ name }) => name))('%s', (name) => {
      const outcome = outcomes.get(name);
      expect(outcome, 'the program in the guest ended before this case').toBeDefined();
      expect(outcome?.lacks).toBeUndefined();
      expect(outcome?.failure).toBeUndefined();
    });
  });
}

const guest = 'a';
const casesFolder = join(import.meta.dirname, '../cases');

type Lab = ReturnType<typeof labCommand>;

/** Bundles the cases into the directory that the lab's hosts share, and runs them in `host`. */
async function runInHost(lab: Lab, file: string): Promise<Map<string, Outcome>> {
  const { shared } = JSON.parse((await lab('ls', '--json')).out) as { shared: string };
  const program = `${file}.cjs`;
  await bundleCases(file, join(shared, program));
  const run = await lab('exec', guest, '--', 'node', `/shared/${program}`);
  await rm(join(shared, program));
  const outcomes = run.out
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Outcome);
  expect(run.code, `${run.err}\n${run.out}`).toBe(0);
  return new Map(outcomes.map((outcome) => [outcome.name, outcome]));
}

/** One file that needs Node and nothing else. */
async function bundleCases(file: string, outfile: string): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'migrate-cases-'));
  try {
    const entry = join(directory, 'entry.ts');
    const lines = [
      `import { cases } from ${JSON.stringify(join(casesFolder, `${file}.ts`))};`,
      `import { runCases } from ${JSON.stringify(join(import.meta.dirname, 'cases.ts'))};`,
      'void runCases(cases);',
    ];
    await writeFile(entry, lines.join('\n'));
    await bundle(outfile, entry);
  } finally {
    await rm(directory, { recursive: true });
  }
}
