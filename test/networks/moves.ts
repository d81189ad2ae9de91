import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { LabDescription } from '../../lab/verbs/ls.ts';
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

type CasesFor = (features: ReadonlySet<string>) => Moves;

/**
 * Makes namespaces on one host of a new lab, moves each to a second one and compares them there
 * with what they were. Throws with the seed and the files of those that are not the same. Of the
 * lab nothing is left. Those that were lost with a host that died are moved once more in another
 * lab, and nothing else is.
 */
export async function moveNetworks(
  title: string,
  backend: Backend,
  casesFor: CasesFor,
): Promise<void> {
  const first = await failedInLab(backend, casesFor);
  const lost = first.filter(isLost);
  const rest = first.filter((one) => !isLost(one));
  const failed = lost.length === 0 ? rest : [...rest, ...(await onceMore(backend, casesFor, lost))];
  const kept = failed.map(({ name, lines, wrong = [] }) => {
    const path = keepCase(`${title}-${name}`.replaceAll(' ', '-'), lines, wrong);
    return [`${path}:`, ...wrong].join('\n  ');
  });
  expect(kept, title).toEqual([]);
}

async function onceMore(
  backend: Backend,
  casesFor: CasesFor,
  lost: readonly GuestCase[],
): Promise<GuestCase[]> {
  const names = new Set(lost.map(({ name }) => name));
  console.log(`${lost[0]?.wrong?.join(' ')}; once more in another lab: ${[...names].join(' ')}`);
  return failedInLab(backend, (features) => {
    const { byCommand, byDocument = [] } = casesFor(features);
    const only = (cases: readonly GuestCase[]) => cases.filter(({ name }) => names.has(name));
    return { byCommand: only(byCommand), byDocument: only(byDocument) };
  });
}

async function failedInLab(backend: Backend, casesFor: CasesFor): Promise<GuestCase[]> {
  const lab = labCommand(`n${process.pid}`);
  try {
    const up = await lab('up', 'a', 'b', '--backend', backend);
    expect(up.code, up.err).toBe(0);
    const { shared } = JSON.parse((await lab('ls', '--json')).out) as LabDescription;
    await bundle(join(shared, program), join(import.meta.dirname, 'guest.ts'));
    const features = await featuresOf(lab, shared, backend);
    const lacks = lacksOf(features);
    if (lacks.length > 0) console.log(`this kernel lacks ${lacks.join(' ')}`);
    const { byCommand, byDocument = [] } = casesFor(features);
    return [
      ...(await documentsThroughLab(lab, shared, byDocument)),
      ...(await throughLab(lab, shared, byCommand)),
    ];
  } finally {
    await lab('down');
  }
}

/** A guest has the whole kernel of its distribution, and no time to be asked about each part. */
async function featuresOf(lab: Lab, shared: string, backend: Backend): Promise<Set<string>> {
  if (backend === 'vm') return new Set(everyFeature);
  const died = await guest(lab, 'a', 'features', caseFile);
  expect(died, 'a host that died').toBeUndefined();
  return new Set(JSON.parse(await readFile(join(shared, caseFile), 'utf8')) as string[]);
}

async function throughLab(
  lab: Lab,
  shared: string,
  cases: readonly GuestCase[],
): Promise<GuestCase[]> {
  const made = await through(lab, shared, 'a make', cases);
  const names = made.filter(isFine).map(({ name }) => name);
  await lab('exec', 'a', '--', 'sh', '-c', moveAll, 'sh', ...names);
  const died = await deadHost(lab);
  const moved = died === undefined ? made : lostWith(died, made);
  const failed = (await through(lab, shared, 'b compare', moved)).filter((one) => !isFine(one));
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

function isLost(one: GuestCase): boolean {
  return one.lostWith !== undefined;
}

/** Of those that nothing was wrong with, nobody knows. */
function lostWith(host: string, cases: readonly GuestCase[]): GuestCase[] {
  const wrong = [`host ${host} of the lab died`];
  return cases.map((one) => (isFine(one) ? { ...one, lostWith: host, wrong } : one));
}

/** Puts cases through a verb on a host, `a make`. */
async function through(
  lab: Lab,
  shared: string,
  words: string,
  cases: readonly GuestCase[],
): Promise<GuestCase[]> {
  if (!cases.some(isFine)) return [...cases];
  const [host = '', verb = ''] = words.split(' ');
  // Both hosts take and build at once.
  const file = /take|build/.test(verb) ? `${host}-${verb}-${caseFile}` : caseFile;
  const path = join(shared, file);
  await writeFile(path, JSON.stringify(cases));
  const died = await guest(lab, host, verb, file);
  if (died !== undefined) return lostWith(died, cases);
  return JSON.parse(await readFile(path, 'utf8')) as GuestCase[];
}

/** Answers with the host that died, if one did; throws for whatever else went wrong. */
async function guest(
  lab: Lab,
  host: string,
  verb: string,
  file: string,
): Promise<string | undefined> {
  const done = await lab('exec', host, '--', 'node', `/shared/${program}`, verb, `/shared/${file}`);
  if (done.code === 0) return undefined;
  const died = await deadHost(lab);
  if (died === undefined) expect(done.code, `${verb}: ${done.err}${done.out}`).toBe(0);
  return died;
}

async function deadHost(lab: Lab): Promise<string | undefined> {
  const { hosts } = JSON.parse((await lab('ls', '--json')).out) as LabDescription;
  return hosts.find(({ running }) => !running)?.name;
}
