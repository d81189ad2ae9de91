import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KILL_AGENT, moveUntil } from './cut-moves.ts';
import { expectPass, type Keeper, startKeeper } from './keeper.ts';
import { makeWorld, type World } from './world.ts';

const JOURNALS = '/var/lib/migrate/journal';

describe('a job that has the name of one whose agent died here', () => {
  let world: World;
  let keeper: Keeper;

  beforeAll(async () => {
    world = await makeWorld(`na${process.pid}`, 'a', 'b');
    keeper = await startKeeper(world, 'a', { options: 'size=24 dirty=2' });
    const move = await moveUntil(world, 'pre-copy', 'pre-copy');
    await world.ask('b', `cp ${JOURNALS}/*.target.jsonl /root; ${KILL_AGENT}`);
    expect((await move.end()).code).toBe(15);
    expectPass(await keeper.judge('a'));
  });

  afterAll(async () => {
    await world?.down();
  });

  test('starts, once what that one had here is gone', async () => {
    await world.ask('b', 'migrate run keeper --l3 --ip 10.77.0.161/24 -- sleep 1000');
    expect(await world.ask('b', `ls ${JOURNALS}`)).toBe('');
    expect(await world.ask('b', 'ip -o addr show')).not.toContain('10.77.0.160');
  });

  test('lives on, whatever is found of that one afterwards', async () => {
    await world.ask('b', `cp /root/*.target.jsonl ${JOURNALS}`);
    await world.sh('b', 'migrate recover');
    expect(await world.ask('b', 'migrate ls')).toMatch(/^keeper\s+l3\s+running/m);
    expect(await world.ask('b', 'ip -o addr show')).toContain('10.77.0.161');
    expect(await world.ask('b', `ls ${JOURNALS}`)).toBe('');
  });
});
