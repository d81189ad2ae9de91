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

/** What is moved, and how. */
export interface Moves {
  /** Each of these moves by the command: programs, connections and all. */
  readonly byCommand: readonly GuestCase[];
  /**
   * Of these the document alone: made and read on one host, built and read on the other, half of
   * them each way at once. An emulated guest takes seconds for one, and a minute for the command.
   */
  readonly byDocument?: readonly GuestCase[];
}

const program = 'networks.cjs';
/** Where a program in a guest finds its cases, and leaves them. */
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
  casesFor: (features: ReadonlySet<string>) => Moves,
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
    const { byCommand, byDocument = [] } = casesFor(features);
    const failed = [
      ...(await documentsThroughLab(lab, shared, byDocument)),
      ...(await throughLab(lab, shared, byCommand)),
    ];
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
  await guest(lab, 'a', 'features', caseFile);
  return new Set(JSON.parse(await readFile(join(shared, caseFile), 'utf8')) as string[]);
}

async function throughLab(
  lab: Lab,
  shared: string,
  cases: readonly GuestCase[],
): Promise<GuestCase[]> {
  const made = (await through(lab, shared, 'a make', cases)).filter(isFine);
  await lab('exec', 'a', '--', 'sh', '-c', moveAll, 'sh', ...made.map(({ name }) => name));
  const failed = (await through(lab, shared, 'b compare')).filter((one) => !isFine(one));
  return Promise.all(
    failed.map(async (one) => {
      const said = await readFile(join(shared, `${one.name}.said`), 'utf8').catch(() => '');
      return { ...one, wrong: [...(one.wrong ?? []), ...said.trimEnd().split('\n')] };
    }),
  );
}

async function documentsThroughLab(
  lab: Lab,
  shared: string,
  cases: readonly GuestCase[],
): Promise<GuestCase[]> {
  const half = Math.ceil(cases.length / 2);
  const ways = [
    ['a take', 'b build', cases.slice(0, half)],
    ['b take', 'a build', cases.slice(half)],
  ] as const;
  const done = await Promise.all(
    ways.map(async ([take, build, own]) =>
      through(lab, shared, build, await through(lab, shared, take, own)),
    ),
  );
  return done.flat().filter((one) => !isFine(one));
}

function isFine({ wrong = [] }: GuestCase): boolean {
  return wrong.length === 0;
}

/** Puts cases through a verb on a host, `a make`; those that were left there if none are given. */
async function through(
  lab: Lab,
  shared: string,
  words: string,
  cases?: readonly GuestCase[],
): Promise<GuestCase[]> {
  const [host = '', verb = ''] = words.split(' ');
  // Both hosts take and build at once.
  const file = /take|build/.test(verb) ? `${host}-${verb}-${caseFile}` : caseFile;
  const path = join(shared, file);
  if (cases !== undefined) await writeFile(path, JSON.stringify(cases));
  await guest(lab, host, verb, file);
  return JSON.parse(await readFile(path, 'utf8')) as GuestCase[];
}

async function guest(lab: Lab, host: string, verb: string, file: string): Promise<void> {
  const done = await lab('exec', host, '--', 'node', `/shared/${program}`, verb, `/shared/${file}`);
  expect(done.code, `${verb}: ${done.err}${done.out}`).toBe(0);
}
