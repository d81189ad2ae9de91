import { breath } from '../../host/clock.ts';
import type { NetlinkAnswer } from '../../host/netlink.ts';
import type { NetlinkSpace } from '../netlink/space.ts';
import { planSection, type Section } from './section.ts';
import { type SectionName, sectionNames, sectionOf } from './sections.ts';
import { sendAll } from './send.ts';
import type { NetworkState } from './state.ts';

/** What a kernel has not done although it was asked, with its own words. */
export interface Refusal {
  readonly what: string;
  readonly why: string;
}

export interface SettleOptions {
  /** Leave what the kernel made by itself and nobody asked for: a new job's document is partial. */
  readonly keepExtra?: boolean;
  readonly only?: readonly SectionName[];
}

/** Each round can make what needed an object of the round before; chains are short. */
const roundsMax = 8;

/**
 * Makes the lists of a namespace what the document says, by reading them, asking for the difference
 * and reading again: what the kernel makes by itself need not be known ahead. Ends when nothing is
 * left to do, or when a round has changed nothing; answers what the kernel refused then.
 */
export function settleSections(...wish: Parameters<typeof steps>): Refusal[] {
  const settling = steps(...wish);
  for (;;) {
    const step = settling.next();
    if (step.done === true) return step.value;
  }
}

/**
 * The same, with a breath between two sections: on a slow host all of them together may take longer
 * than the other host waits for a sign of life.
 */
export async function settleSectionsGently(...wish: Parameters<typeof steps>): Promise<Refusal[]> {
  const settling = steps(...wish);
  for (;;) {
    const step = settling.next();
    if (step.done === true) return step.value;
    await breath();
  }
}

function* steps(
  state: NetworkState,
  space: NetlinkSpace,
  options: SettleOptions = {},
): Generator<undefined, Refusal[]> {
  let before = '';
  for (let round = 0; round < roundsMax; round += 1) {
    const refusals: Refusal[] = [];
    let asked = '';
    for (const name of options.only ?? sectionNames) {
      asked += settleOne(name, state, space, options, refusals);
      yield;
    }
    if (asked === '') return [];
    if (asked === before) return refusals;
    before = asked;
  }
  // What still changes is no refusal: the comparison with the document that follows names it.
  return [];
}

/** Asks for what one section lacks; a text that is the same when the same was asked. */
function settleOne(
  name: SectionName,
  state: NetworkState,
  space: NetlinkSpace,
  { keepExtra }: SettleOptions,
  refusals: Refusal[],
): string {
  const section = sectionOf(name);
  const wanted: readonly unknown[] = state[name];
  const reading = { names: space.names, unknown: new Set<string>() };
  const found = section.read(space, reading);
  const difference = planSection(section, wanted, found);
  const plan = section.widened?.(difference, found) ?? difference;
  const remove = keepExtra === true ? [] : plan.remove;
  if (remove.length + plan.add.length === 0) return '';
  const jobs = [
    ...remove.map((one) => ({ one, requests: section.remove(one, space.names) })),
    ...plan.add.map((one) => ({ one, requests: section.add(one, space.names) })),
  ];
  const { direct } = section;
  for (const one of remove) direct?.remove(space, one);
  for (const one of plan.add) direct?.add(space, one);
  const answers = sendAll(
    space,
    jobs.flatMap(({ requests }) => requests),
  );
  let at = 0;
  for (const { one, requests } of jobs) {
    const failed = answers.slice(at, at + requests.length).find(({ error }) => error !== undefined);
    at += requests.length;
    if (failed === undefined || (keepExtra !== true && insist(section, one, space))) continue;
    refusals.push(refusalOf(section, one, failed));
  }
  return JSON.stringify([name, remove, plan.add]);
}

/** Asks once more, for something that needs what was taken away after it was made. */
function insist(section: Section<unknown>, one: unknown, space: NetlinkSpace): boolean {
  const way = section.makeWay?.(one, space.names) ?? [];
  if (way.length === 0) return false;
  const answers = sendAll(space, [...way, ...section.add(one, space.names)]).slice(way.length);
  return answers.every(({ error }) => error === undefined);
}

function refusalOf(section: Section<unknown>, one: unknown, answer: NetlinkAnswer): Refusal {
  const what = `${section.name} ${section.describe(one)}`;
  return { what, why: answer.reason ?? answer.error ?? 'refused' };
}
