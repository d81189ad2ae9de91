import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeWorld, median, tell, type World } from './world.ts';

const ADDRESS = '10.77.0.120';
const MOVES = 20;
const BARE_ROUNDS = 7;

describe('a client that sends a byte every millisecond', () => {
  let world: World;

  beforeAll(async () => {
    world = await makeWorld(`si${process.pid}`, 'a', 'b', 'c');
  });

  afterAll(async () => {
    await world?.down();
  });

  test(`keeps its connection and every byte through ${MOVES} moves`, async () => {
    const server = '/shared/workloads/echo-server 7000';
    await world.ask('a', `migrate run echo --l3 --ip ${ADDRESS}/24 -- ${server}`);
    const client = world.start(
      'c',
      `exec python3 /shared/workloads/byte-client.py ${ADDRESS} 7000`,
    );
    expect(await client.line()).toBe('ready');
    const silences: number[] = [];
    const frozen: number[] = [];
    for (let move = 0; move < MOVES; move += 1) {
      const [from, to] = move % 2 === 0 ? ['a', 'b'] : ['b', 'a'];
      client.say('mark');
      await client.line();
      frozen.push((await world.move('echo', from, to)).frozenMs);
      client.say('mark');
      silences.push((JSON.parse(await client.line()) as { gapMs: number }).gapMs);
    }
    const totals = JSON.parse((await client.end()).out) as Totals;
    expect(totals).toMatchObject({ wrong: 0, error: null, received: totals.sent });

    const bare = await world.ask('a', `python3 /shared/workloads/bare-criu.py 7999 ${BARE_ROUNDS}`);
    const costs = JSON.parse(bare) as [number, number][];
    const floor = median(costs.map(([dump, restore]) => dump + restore));
    const excess = median(silences.map((silence, move) => silence - (frozen[move] ?? 0)));
    tell(`${MOVES} moves under a byte a millisecond, medians`, {
      'silence (ms)': median(silences),
      'longest (ms)': Math.max(...silences),
      'frozen (ms)': median(frozen),
      'silence - frozen (ms)': excess,
      'bytes echoed': totals.received,
    });
    tell('bare criu of the same server on one host, medians', {
      'dump (ms)': median(costs.map(([dump]) => dump)),
      'restore (ms)': median(costs.map(([, restore]) => restore)),
      'frozen / (dump + restore)': median(frozen) / floor,
    });
    expect(totals.received).toBeGreaterThan(MOVES * 100);
  });
});

interface Totals {
  readonly sent: number;
  readonly received: number;
  readonly wrong: number;
  readonly error: string | null;
}
