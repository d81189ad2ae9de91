import { keyOf, planSection, type Section } from '../../src/network/l2/section.ts';
import type { Reading } from '../../src/network/netlink/codec.ts';
import { type NetlinkSpace, openSpace } from '../../src/network/netlink/space.ts';

/** Sections whose kinds of objects differ, in the order in which one builds on another. */
export type Sections = Readonly<Record<string, Section<unknown>>>;
export type Documents = Readonly<Record<string, readonly unknown[]>>;

const roundsMax = 6;

/**
 * Reads all sections; throws when an attribute is not known or an object does not fit its schema.
 */
export function readAll(space: NetlinkSpace, sections: Sections): Documents {
  space.refreshNames();
  const reading: Reading = { names: space.names, unknown: new Set() };
  const documents = Object.fromEntries(
    Object.entries(sections).map(([name, section]) => {
      const found = section.read(space, reading);
      for (const one of found) section.schema.parse(one);
      return [name, found];
    }),
  );
  if (reading.unknown.size > 0) throw new Error(`unknown: ${[...reading.unknown].join(', ')}`);
  return documents;
}

/** Brings a namespace to what the documents say; returns the rounds that it took. */
export function settle(space: NetlinkSpace, sections: Sections, wanted: Documents): number {
  let said: string[] = [];
  for (let round = 0; round < roundsMax; round += 1) {
    let isDone = true;
    const errors: string[] = [];
    for (const [name, section] of Object.entries(sections)) {
      const found = readAll(space, { [name]: section })[name] ?? [];
      const plan = planSection(section, wanted[name] ?? [], found);
      if (plan.remove.length + plan.add.length > 0) isDone = false;
      errors.push(...plan.remove.map((one) => `found ${keyOf(section, one)}`));
      errors.push(...plan.add.map((one) => `wanted ${keyOf(section, one)}`));
      for (const one of plan.remove) {
        errors.push(...send(space, section.remove(one, space.names), `- ${section.describe(one)}`));
        attempt(() => section.direct?.remove(space, one), errors);
      }
      for (const one of plan.add) {
        errors.push(...send(space, section.add(one, space.names), `+ ${section.describe(one)}`));
        attempt(() => section.direct?.add(space, one), errors);
      }
    }
    if (isDone) return round;
    said = errors;
  }
  throw new Error(`not settled after ${roundsMax} rounds: ${said.join('; ')}`);
}

function attempt(act: () => void, errors: string[]): void {
  try {
    act();
  } catch (error) {
    errors.push(String(error));
  }
}

function send(space: NetlinkSpace, requests: ReturnType<Section<unknown>['add']>, what: string) {
  return space
    .socket('route')
    .send(requests)
    .flatMap(({ error, reason }) => (error === undefined ? [] : [`${what}: ${reason ?? error}`]));
}

/** What decides about equality, as texts; a section without an order is sorted. */
export function compared(sections: Sections, documents: Documents): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(sections).map(([name, section]) => {
      const keys = (documents[name] ?? []).map((one) => keyOf(section, one));
      return [name, section.order === undefined ? keys.sort() : keys];
    }),
  );
}

/** Runs `work` with an open namespace. */
export function withSpace<T>(path: string, work: (space: NetlinkSpace) => T): T {
  const space = openSpace(path);
  try {
    return work(space);
  } finally {
    space.close();
  }
}
