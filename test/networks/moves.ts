import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { bundle } from '../../scripts/bundle.ts';
import { labCommand } from '../lab/machine.ts';
import { everyFeature } from './features.ts';
import { lacksOf } from './grammar.ts';
import type { GuestCase } from './guest.ts';
import { keepCase } from './keep.ts';

type Backend = 'vm' | 'netns';
type Lab = ReturnType<typeof labCommand>;

const program = 'networks.cjs';
const caseFile = 'networks.json';

/** Moves each by the command that a person would use, and keeps what it says when it fails. */
const moveAll = `
  for name; do
    migrate "netns:$name" b >"/shared/$name.said" 2>&1 || echo "exit code $?" >>"/shared/$name.said"
  done
`;

/**
 * Makes namespaces on one host of a new lab, moves each to a second one and compares them there
 * with what they were. Throws with the seed and the files of those that are not the same. Of the
 * lab nothing is left.
 */
export async function moveNetworks(
  title: string,
  backend: Backend,
  casesFor: (features: ReadonlySet<string>) => readonly GuestCase[],
): Promise<void> {
  const lab = labCommand(`n${process.pid}`);
  try {
    const up = await lab('up', 'a', 'b', '--backend', backend);
    expect(up.code, up.err).toBe(0);
    const { shared } = JSON.parse((await lab('ls', '--json')).out) as { shared: string };
    await bundle(join(shared, program), join(import.meta.dirname, 'guest.ts'));
    const features = await featuresOf(lab, shared, backend);
    const lacks = lacksOf(features);
    if (lacks.length > 0) console.log(`this kernel lacks ${lacks.join(' ')}`);
    const failed = await throughLab(lab, shared, casesFor(features));
    const kept = failed.map((one) => {
      const path = keepCase(
        `${title}-${one.name}`.replaceAll(' ', '-'),
        one.lines,
        one.wrong ?? [],
      );
      return [`${path}:`, ...(one.wrong ?? [])].join('\n  ');
    });
    expect(kept, title).toEqual([]);
  } finally {
    await lab('down');
  }
}

/** A guest has the whole kernel of its distribution, and no time to be asked about each part. */
async function featuresOf(lab: Lab, shared: string, backend: Backend): Promise<Set<string>> {
  if (backend === 'vm') return new Set(everyFeature);
  await guest(lab, 'a', 'features');
  return new Set(JSON.parse(await readFile(join(shared, caseFile), 'utf8')) as string[]);
}

async function throughLab(
  lab: Lab,
  shared: string,
  cases: readonly GuestCase[],
): Promise<GuestCase[]> {
  const read = async () =>
    JSON.parse(await readFile(join(shared, caseFile), 'utf8')) as GuestCase[];
  await writeFile(join(shared, caseFile), JSON.stringify(cases));
  await guest(lab, 'a', 'make');
  const made = (await read()).filter(({ wrong = [] }) => wrong.length === 0);
  await lab('exec', 'a', '--', 'sh', '-c', moveAll, 'sh', ...made.map(({ name }) => name));
  await guest(lab, 'b', 'compare');
  const failed = (await read()).filter(({ wrong = [] }) => wrong.length > 0);
  return Promise.all(
    failed.map(async (one) => {
      const said = await readFile(join(shared, `${one.name}.said`), 'utf8').catch(() => '');
      return { ...one, wrong: [...(one.wrong ?? []), ...said.trimEnd().split('\n')] };
    }),
  );
}

async function guest(lab: Lab, host: string, verb: string): Promise<void> {
  const done = await lab(
    'exec',
    host,
    '--',
    'node',
    `/shared/${program}`,
    verb,
    `/shared/${caseFile}`,
  );
  expect(done.code, `${verb}: ${done.err}${done.out}`).toBe(0);
}
