import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { run } from '../../src/host/run.ts';
import { planSection, type Request, type Section } from '../../src/network/l2/section.ts';
import type { Reading } from '../../src/network/netlink/codec.ts';
import { type NetlinkSpace, openSpace } from '../../src/network/netlink/space.ts';
import { type Agent, startAgent } from './l3-host.ts';

/** A network namespace of a test's own, spoken to by netlink and by programs. */
export interface Twin {
  readonly name: string;
  readonly path: string;
  readonly space: NetlinkSpace;
  /** Runs a shell's lines in it; what they print. */
  sh(script: string): Promise<string>;
}

const made: Twin[] = [];
const agents: Agent[] = [];

/** Makes one; `removeTwins` takes all of them away. */
export async function makeTwin(prefix: string): Promise<Twin> {
  const name = `${prefix}-${randomBytes(3).toString('hex')}`;
  await run('ip', ['netns', 'add', name]);
  const path = `/run/netns/${name}`;
  const twin = {
    name,
    path,
    space: openSpace(path),
    sh: async (script: string) =>
      (await run('nsenter', [`--net=${path}`, 'sh', '-ec', script])).stdout,
  };
  made.push(twin);
  return twin;
}

export async function removeTwins(): Promise<void> {
  for (const agent of agents.splice(0)) await agent.stop();
  for (const { name, space } of made.splice(0)) {
    space.close();
    await run('ip', ['netns', 'del', name]);
  }
}

/** A Python process in it, for as long as it is there. */
export async function agentIn({ path }: Twin): Promise<Agent> {
  const agent = await startAgent(undefined, path);
  agents.push(agent);
  return agent;
}

/** Loads nft rules into it. */
export async function load({ path }: Twin, rules: string): Promise<void> {
  await run('nsenter', [`--net=${path}`, 'nft', '-f', '-'], { input: rules });
}

/** Whether a program is missing, which it then says. */
export function lacking(programs: readonly string[]): boolean {
  const folders = ['/usr/sbin', '/sbin', '/usr/bin', '/bin'];
  const missing = programs.filter((name) => !folders.some((one) => existsSync(`${one}/${name}`)));
  if (missing.length > 0) console.log(`not installed here: ${missing.join(', ')}`);
  return missing.length > 0;
}

/** All objects of a section; fails the test when an attribute is not known. */
export function readAll<T>(section: Section<T>, { space }: Twin): T[] {
  const reading: Reading = { names: space.names, unknown: new Set() };
  const found = section.read(space, reading).map((one) => section.schema.parse(one));
  if (reading.unknown.size > 0) throw new Error(`unknown: ${[...reading.unknown].join(', ')}`);
  return found;
}

/** Brings a namespace to what is wanted in one round, as a move does; each request must succeed. */
export function settle<T>(section: Section<T>, wanted: readonly T[], twin: Twin): void {
  const { remove, add } = planSection(section, wanted, readAll(section, twin));
  const { names } = twin.space;
  const requests = [
    ...remove.flatMap((one) => section.remove(one, names)),
    ...add.flatMap((one) => section.add(one, names)),
  ];
  for (const [family, own] of byFamily(requests)) {
    const answers = twin.space.socket(family).send(own);
    const failed = answers.find(({ error }) => error !== undefined);
    if (failed !== undefined) throw new Error(`${section.name}: ${failed.reason ?? failed.error}`);
  }
}

function byFamily(requests: readonly Request[]) {
  const all = new Map<NonNullable<Request['family']>, Request[]>();
  for (const one of requests) {
    const family = one.family ?? 'route';
    const own = all.get(family);
    if (own === undefined) all.set(family, [one]);
    else own.push(one);
  }
  return all;
}

/** What a section compares of each, sorted: equal for equal namespaces. */
export function comparable<T>(section: Section<T>, all: readonly T[]): string[] {
  return all.map((one) => JSON.stringify(section.compared?.(one) ?? one)).sort();
}
