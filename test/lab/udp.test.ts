import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeWorld, tell, type WatchedMove, type World } from './world.ts';

const ADDRESS = '10.77.0.121';
const MOVES = 6;
/** Instants of two processes are compared: what is nearer to an edge than this is at the edge. */
const EDGE_MS = 5;

describe('datagrams that a client sends every millisecond', () => {
  let world: World;

  beforeAll(async () => {
    world = await makeWorld(`ud${process.pid}`, 'a', 'b', 'c');
  });

  afterAll(async () => {
    await world?.down();
  });

  test('none of those that are sent while packets are held is lost', async () => {
    const server = 'python3 /shared/workloads/udp-recorder.py 5000';
    await world.ask('a', `migrate run rec --l3 --ip ${ADDRESS}/24 -- ${server} && sleep 0.5`);
    const client = world.start('c', `exec python3 /shared/workloads/udp-client.py ${ADDRESS} 5000`);
    expect(await client.line()).toBe('ready');
    const moves: WatchedMove[] = [];
    for (let move = 0; move < MOVES; move += 1) {
      const [from, to] = move % 2 === 0 ? ['a', 'b'] : ['b', 'a'];
      moves.push(await world.move('rec', from, to));
    }
    const said = (await client.end()).out;
    const report = JSON.parse(said) as Report;
    const held = report.missing.filter(([, at]) => moves.some((move) => isHeld(move, at)));
    tell(`${MOVES} moves under a datagram a millisecond`, {
      sent: report.sent,
      'lost while held': held.length,
      'lost at the switch': report.count - held.length,
      'came twice': report.twice,
      'echoes lost': report.unanswered - report.count,
      'longest silence (ms)': report.longestMs,
      'longest frozen (ms)': Math.max(...moves.map(({ frozenMs }) => frozenMs)),
    });
    expect(held).toEqual([]);
    expect(report.refused).toBe(0);
    expect(report.count).toBeLessThan(report.sent / 100);
  });
});

/** From the end of the freeze, when the hold stands, to the first release. */
function isHeld(move: WatchedMove, at: number): boolean {
  const startOf = (name: string) => {
    const phase = move.phases.find((candidate) => candidate.name === name);
    expect(phase, name).toBeDefined();
    return move.beganAt + (phase?.startMs ?? 0);
  };
  return at > startOf('lock') + EDGE_MS && at < startOf('resume') - EDGE_MS;
}

interface Report {
  readonly sent: number;
  readonly missing: readonly (readonly [number, number])[];
  readonly count: number;
  readonly twice: number;
  readonly unanswered: number;
  readonly refused: number;
  readonly longestMs: number;
}
