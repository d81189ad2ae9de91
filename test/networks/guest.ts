import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { asMigrateError } from '../../src/base/errors.ts';
import { removeNetns } from '../../src/network/l2/namespace.ts';
import type { NetworkState } from '../../src/network/l2/state.ts';
import { featuresHere } from './features.ts';
import {
  arrives,
  askedAgain,
  buildFrom,
  differences,
  makeNetwork,
  readNetwork,
  untilLetIn,
} from './trip.ts';

/** A namespace to be made in a host of the lab, and what became of it. */
export interface GuestCase {
  readonly name: string;
  readonly lines: readonly string[];
  /** As it was read where it was made. */
  readonly made?: NetworkState;
  /** Absent or empty while all is well. */
  readonly wrong?: readonly string[];
  /** The host that died before this was looked at. */
  readonly lostWith?: string;
}

/** The bridge of a host, on the lab's wire. */
const bridge = 'br0';

const verbs: Readonly<Record<string, (one: GuestCase) => Promise<GuestCase>>> = {
  /** Makes it, with a process in it. */
  async make(one) {
    await makeNetwork(one.name, bridge, one.lines);
    startInside(one.name);
    await untilLetIn(one.name);
    const made = await readNetwork(one.name);
    return { ...one, made, wrong: made.warnings };
  },
  /** Makes it and takes it away again: what is left is its document. */
  async take(one) {
    try {
      await makeNetwork(one.name, bridge, one.lines);
      const made = await readNetwork(one.name);
      return { ...one, made, wrong: made.warnings };
    } finally {
      await removeNetns(one.name);
    }
  },
  /** Builds it from a document that another host has made, looks at it and takes it away. */
  async build(one) {
    try {
      await buildFrom(one.name, one.made);
      return await compare(one);
    } finally {
      await removeNetns(one.name);
    }
  },
  /** Looks at it where it got to. */
  compare,
  /** All of it on one host, without a move. */
  async trip(one) {
    return { ...one, wrong: await arrives(one.name, bridge, one.lines) };
  },
};

async function compare(one: GuestCase): Promise<GuestCase> {
  if (one.made === undefined) throw new Error('was never made');
  const wrong = differences(one.made, await readNetwork(one.name));
  return { ...one, wrong: wrong.length > 0 ? wrong : askedAgain(one.name, one.made) };
}

/**
 * A process that shares no descriptor with any other; its /dev/null is that of the mount namespace
 * which `ip netns exec` makes.
 */
function startInside(name: string): void {
  const script = [
    'exec </dev/null >/dev/null 2>&1',
    'for path in /proc/$$/fd/*; do fd=$(basename $path); [ $fd -le 2 ] || eval "exec $fd>&-"; done',
    'exec sleep 100000',
  ].join('\n');
  const argv = ['netns', 'exec', name, 'setsid', 'bash', '-c', script];
  spawn('ip', argv, { detached: true, stdio: 'ignore' }).unref();
}

/** `features FILE` says what there is; VERB FILE puts each case of the file through the verb. */
async function main(word: string, file: string): Promise<void> {
  if (word === 'features') {
    writeFileSync(file, JSON.stringify([...featuresHere()]));
    return;
  }
  const verb = verbs[word];
  if (verb === undefined) throw new Error(`no verb ${word}`);
  const cases = JSON.parse(readFileSync(file, 'utf8')) as GuestCase[];
  const done: GuestCase[] = [];
  for (const one of cases) done.push(await attempt(verb, one));
  writeFileSync(file, JSON.stringify(done));
}

async function attempt(verb: (one: GuestCase) => Promise<GuestCase>, one: GuestCase) {
  if ((one.wrong ?? []).length > 0) return one;
  try {
    return await verb(one);
  } catch (error) {
    return { ...one, wrong: [asMigrateError(error).message] };
  }
}

void main(process.argv[2] ?? '', process.argv[3] ?? '');
