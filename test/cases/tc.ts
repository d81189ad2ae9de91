import { deepStrictEqual, match, ok } from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import type { SectionLists, SectionName } from '../../src/network/l2/sections.ts';
import { sectionOf } from '../../src/network/l2/sections.ts';
import { settleSections } from '../../src/network/l2/settle.ts';
import type { NetworkState } from '../../src/network/l2/state.ts';
import type { NetlinkSpace } from '../../src/network/netlink/space.ts';
import type { Case } from '../support/cases.ts';
import { inScratchNetns, type ScratchNetns } from '../support/scratch-netns.ts';
import { type TcFixture, tcFixtures } from './tc-fixtures.ts';
import { randomKinds, randomSetup } from './tc-random.ts';

const only: readonly SectionName[] = ['filterActions', 'queues', 'filters'];
const pauseMs = 20;

type Queueing = Pick<SectionLists, 'filterActions' | 'queues' | 'filters'>;

const devices = [
  'link add eth0 numtxqueues 4 numrxqueues 4 type veth peer name eth1 numtxqueues 4',
  'tuntap add tun0 mode tun multi_queue',
  'link set eth0 up',
  'link set eth1 up',
];

function withDevices(netns: ScratchNetns, lines: readonly string[] = devices): void {
  netns.ip(lines);
}

function tc(netns: ScratchNetns, lines: readonly string[]): void {
  const input = `${lines.join('\n')}\n`;
  execFileSync('tc', ['-n', netns.name, '-batch', '-'], { input, stdio: 'pipe' });
}

function read(space: NetlinkSpace): Queueing {
  const reading = { names: space.names, unknown: new Set<string>() };
  const lists = only.map((name) => [name, sectionOf(name).read(space, reading)]);
  deepStrictEqual([...reading.unknown], []);
  return Object.fromEntries(lists) as Queueing;
}

/** As the document arrives: through JSON and the schemas. */
function carried(queueing: Queueing): NetworkState {
  const lists = only.map((name) => {
    const list = JSON.parse(JSON.stringify(queueing[name as keyof Queueing])) as unknown[];
    return [name, list.map((one) => sectionOf(name).schema.parse(one))];
  });
  return Object.fromEntries(lists) as NetworkState;
}

function problems(queueing: Queueing): string[] {
  return only.flatMap((name) => {
    const list: readonly unknown[] = queueing[name as keyof Queueing];
    return list.flatMap((one) => sectionOf(name).problem?.(one) ?? []);
  });
}

/** What tc(8) says of all there is, in its own words, without counters. */
function told(netns: ScratchNetns, queueing: Queueing): string[] {
  const show = (...words: string[]) => netns.run('tc', ['-d', ...words]);
  const hooks = new Set(
    queueing.filters.map(({ link, parent, block }) =>
      block === undefined ? `dev ${link} parent ${parent}` : `block ${block}`,
    ),
  );
  return [
    show('qdisc', 'show'),
    ...['eth0', 'eth1', 'tun0'].map((name) => show('class', 'show', 'dev', name)),
    ...[...hooks].sort().map((hook) => withoutRoots(show('filter', 'show', ...hook.split(' ')))),
    ...[...hooks].sort().map((hook) => show('chain', 'show', ...hook.split(' '))),
    ...['gact', 'police', 'mirred'].map((kind) => show('actions', 'show', 'action', kind)),
  ].map(sortedLines);
}

/** u32's own tables, which the kernel numbers anew, and hash tables it made at other times. */
function withoutRoots(text: string): string {
  return text.replace(/\b8[0-9a-f]{2}:|(?<=key ht )8[0-9a-f]{2}/g, 'ROOT:');
}

/** Flows of packets, which these show as classes. */
const trafficClass = /^class (cake|fq_codel|fq_pie|sfq|sfb) /;

/** Qdiscs and classes are listed by a hash table. The seed of netem is random. */
function sortedLines(text: string): string {
  return text
    .replace(/fh 0x8[0-9a-f]{3}(?=[0-9a-f]{4} .*fromif)/g, 'fh 0xIF')
    .replace(/ seed \d+| direct_packets_stat \d+/g, '')
    .split('\n')
    .filter((line) => !trafficClass.test(line))
    .sort()
    .join('\n');
}

/** Reads in one namespace, makes it in another, whose devices have other numbers. */
function roundTrip(fixture: TcFixture): void {
  inScratchNetns((source) => {
    withDevices(source);
    tc(source, fixture.lines);
    const wanted = read(source.space);
    deepStrictEqual(problems(wanted), []);
    ok(wanted.queues.length + wanted.filterActions.length > 0);
    inScratchNetns((target) => {
      withDevices(target, ['link add other type veth peer name another', ...devices]);
      deepStrictEqual(settleSections(carried(wanted), target.space, { only }), []);
      deepStrictEqual(read(target.space), wanted);
      deepStrictEqual(told(target, wanted), told(source, wanted));
      const nothing = { filterActions: [], queues: [], filters: [] } as unknown as NetworkState;
      settlePatiently(nothing, target.space);
      deepStrictEqual(read(target.space), nothing);
    });
  });
}

/** A filter that is gone lets its actions go a moment later (tcf_queue_work). */
function settlePatiently(wanted: NetworkState, space: NetlinkSpace): void {
  const triesMax = 100;
  for (let tries = 0; tries < triesMax; tries += 1) {
    if (settleSections(wanted, space, { only }).length === 0) return;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMs);
  }
  deepStrictEqual(settleSections(wanted, space, { only }), []);
}

/** What the kernel says when a kind is not in it, or the tool when it is too old. */
const missing = /kind is unknown|not found|[Ff]ailed to load|Unknown (qdisc|filter|action)|What is/;

function lacks(fixture: TcFixture): string | undefined {
  return inScratchNetns((netns) => {
    withDevices(netns);
    try {
      tc(netns, fixture.lines);
      return undefined;
    } catch (error) {
      const words = String((error as { stderr?: unknown }).stderr ?? error);
      return missing.test(words) ? words.split('\n').find((line) => missing.test(line)) : undefined;
    }
  });
}

const goneLines = [
  'qdisc add dev eth0 ingress',
  'filter add dev eth0 parent ffff: protocol ip prio 1 u32 match ip dst 10.0.0.0/8 action mirred egress redirect dev tun0',
];

/** Takes a namespace from one random setup to another, and back to nothing. */
function fromOneToAnother(seed: number): void {
  inScratchNetns((probe) => {
    withDevices(probe);
    const kinds = kindsHere(probe);
    const [one, other] = [randomSetup(seed, kinds), randomSetup(seed + 1, kinds)];
    const [first, second] = [one, other].map((lines) =>
      inScratchNetns((source) => {
        withDevices(source);
        tc(source, lines);
        return read(source.space);
      }),
    ) as [Queueing, Queueing];
    for (const wanted of [first, second, first]) {
      deepStrictEqual(settleSections(carried(wanted), probe.space, { only }), []);
      deepStrictEqual(read(probe.space), wanted);
    }
  });
}

function kindsHere(netns: ScratchNetns): string[] {
  return randomKinds.filter((words) => {
    try {
      tc(netns, [`qdisc add dev eth0 root handle 1: ${words}`, 'qdisc del dev eth0 root']);
      return true;
    } catch {
      return false;
    }
  });
}

const firstSeed = randomInt(0x4000_0000);
const randomCases = Array.from({ length: 8 }, (_, at): Case => {
  const seed = firstSeed + at * 2;
  return {
    name: `random setup ${at + 1} takes the place of another, and the other its place`,
    run() {
      try {
        fromOneToAnother(seed);
      } catch (error) {
        throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
      }
    },
  };
});

function refusedFor(lines: readonly string[], ip: readonly string[] = []): string[] {
  return inScratchNetns((netns) => {
    withDevices(netns);
    tc(netns, lines);
    if (ip.length > 0) netns.ip(ip);
    return problems(read(netns.space));
  });
}

const refusals: readonly Case[] = [
  {
    name: 'a mirred whose device is gone is named',
    lacks: () => lacks({ name: '', lines: goneLines }),
    run: () => match(refusedFor(goneLines, ['link del tun0']).join(), /device that it sends to/),
  },
  {
    name: 'what a device gets by itself is nothing of the job',
    run() {
      inScratchNetns((netns) => {
        withDevices(netns);
        deepStrictEqual(read(netns.space), { filterActions: [], queues: [], filters: [] });
      });
    },
  },
];

export const cases: readonly Case[] = [
  ...tcFixtures.map(
    (fixture): Case => ({
      name: `${fixture.name}: comes back the same`,
      lacks: () => lacks(fixture),
      run: () => roundTrip(fixture),
    }),
  ),
  ...randomCases,
  ...refusals,
];
