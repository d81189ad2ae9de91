import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ADDRESS,
  ADDRESS6,
  addPolicy,
  countersOf,
  makeNetns,
  makeSettledWorld,
  policyOf,
  programsInside,
  startAll,
  startInside,
  stateOf,
} from './netns-world.ts';
import { endWrk, startWrk, watchResets } from './web-clients.ts';
import { type Running, tell, type WatchedMove, type World } from './world.ts';

const SOON = { timeout: 10_000, interval: 500 };
const LOAD = { options: '-c8 --timeout 20', seconds: 300 };
const TICKS = '/shared/ticks';
const PROGRAMS = ['nginx', 'nginx', 'nginx', 'python3', 'sh'];
/** Two instants of two processes are compared: nearer to an edge than this is at the edge. */
const EDGE_MS = 5;

describe('a network namespace with several process trees in it', () => {
  let world: World;
  const empty: Record<string, unknown> = {};
  const moves: WatchedMove[] = [];
  let udp: Running;
  let loads: Running[];
  let resets: Running;

  beforeAll(async () => {
    world = await makeSettledWorld(`ns${process.pid}`, 'a', 'b', 'c');
    for (const host of ['a', 'b']) empty[host] = await stateOf(world, host);
    await makeNetns(world, 'a');
    await addPolicy(world, 'a');
    await startAll(world, 'a', TICKS);
    resets = await watchResets(world, 'c');
    udp = world.start('c', `exec python3 /shared/workloads/udp-client.py ${ADDRESS} 5000`);
    expect(await udp.line()).toBe('ready');
    loads = [ADDRESS, `[${ADDRESS6}]`, `${ADDRESS}:8080`].map((to) =>
      startWrk(world, 'c', `http://${to}/`, LOAD),
    );
  });

  afterAll(async () => {
    await world?.down();
  });

  test('moves as one, and on the other host it has its name, devices, programs, tables and counters', async () => {
    expect(await programsInside(world, 'a')).toEqual(PROGRAMS);
    const [policy, counters] = [await policyOf(world, 'a'), await countersOf(world, 'a')];
    moves.push(await world.move('netns:web', 'a', 'b'));
    expect(await policyOf(world, 'b')).toBe(policy);
    const after = await countersOf(world, 'b');
    expect(after.get('quiet')).toBe(41);
    expect(await world.ask('b', 'ip netns exec web cat /etc/hosts')).toContain('192.0.2.7 shop');
    expect(after.get('web')).toBeGreaterThan(counters.get('web') ?? 0);
    expect(await programsInside(world, 'b')).toEqual(['job-init', ...PROGRAMS].sort().map(short));
    expect(await world.ask('b', 'ip netns exec web ip -o addr show eth0')).toContain(ADDRESS);
    const jobs = await world.ask('b', 'migrate ls --json');
    expect(JSON.parse(jobs)).toMatchObject({ name: 'netns:web', kind: 'l2', state: 'running' });
    expect(await world.ask('b', 'migrate status')).toBe('no move is under way');
  });

  test('leaves nothing on the source: no namespace, device, process, cgroup, file', async () => {
    await expect.poll(() => stateOf(world, 'a'), SOON).toEqual(empty.a);
  });

  test('takes along on its way back what was started in it since', async () => {
    await startInside(world, 'b', 'sleep 100000');
    moves.push(await world.move('netns:web', 'b', 'a'));
    expect(await world.ask('a', 'ip netns exec web pgrep -fx "sleep 100000"')).not.toBe('');
    await expect.poll(() => stateOf(world, 'b'), SOON).toEqual(empty.b);
  });

  test('goes there and back again', async () => {
    moves.push(await world.move('netns:web', 'a', 'b'));
    moves.push(await world.move('netns:web', 'b', 'a'));
  });

  test('has kept every connection and every datagram that was held, and no tick is missing or doubled', async () => {
    const report = JSON.parse((await udp.end()).out) as UdpReport;
    const ended = await Promise.all(loads.map(endWrk));
    const ticks = await ticksOf(world);
    const held = report.missing.filter(([, at]) => moves.some((move) => isHeld(move, at)));
    tell(`${moves.length} moves of a namespace with ${PROGRAMS.length} programs`, {
      'frozen (ms)': moves.map(({ frozenMs }) => frozenMs).join(' '),
      requests: ended.reduce((sum, { requests }) => sum + requests, 0),
      datagrams: report.sent,
      'lost at the switch': report.count - held.length,
      'longest silence (ms)': report.longestMs,
      ticks: ticks.length,
    });
    expect(ended.flatMap(({ failures }) => failures)).toEqual([]);
    expect(await resets.end()).toMatchObject({ code: 0, out: '' });
    expect({ held, refused: report.refused, twice: report.twice }).toEqual({
      held: [],
      refused: 0,
      twice: 0,
    });
    expect(report.count).toBeLessThan(report.sent / 100);
    expect(ticks).toEqual(ticks.map((_, index) => index + 1));
  });

  test('stopped and forgotten it leaves nothing', async () => {
    await world.ask('a', 'migrate stop netns:web && migrate rm netns:web');
    await expect.poll(() => stateOf(world, 'a'), SOON).toEqual(empty.a);
  });
});

/** The kernel keeps 15 characters of a program's name, and job-init has a digest in its own. */
function short(program: string): string {
  return program === 'job-init' ? 'job-init-b84ca5' : program;
}

async function ticksOf(world: World): Promise<number[]> {
  const lines = (await readFile(join(world.shared, 'ticks'), 'utf8')).trim().split('\n');
  return lines.map((line) => Number(line.split(' ')[0]));
}

/** From the end of the freeze, when the hold stands, to the first release. */
function isHeld(move: WatchedMove, at: number): boolean {
  const startOf = (name: string) => {
    const phase = move.phases.find((candidate) => candidate.name === name);
    return move.beganAt + (phase?.startMs ?? 0);
  };
  return at > startOf('lock') + EDGE_MS && at < startOf('resume') - EDGE_MS;
}

interface UdpReport {
  readonly sent: number;
  readonly missing: readonly (readonly [number, number])[];
  readonly count: number;
  readonly twice: number;
  readonly refused: number;
  readonly longestMs: number;
}
