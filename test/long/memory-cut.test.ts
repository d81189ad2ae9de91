import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { KILL_AGENT, moveUntil } from '../lab/cut-moves.ts';
import { expectPass, KEEPER_ADDRESS, type Keeper, startKeeper } from '../lab/keeper.ts';
import { labCommand } from '../lab/machine.ts';
import { makeWorld, type Running, tell, type World } from '../lab/world.ts';

const OPTIONS = 'size=48 dirty=2 threads=2';
const SOON = { timeout: 60_000, interval: 1_000 };

const CUTS = [
  { mode: 'stop-copy', phase: 'transfer' },
  { mode: 'pre-copy', phase: 'pre-copy' },
  { mode: 'pre-copy', phase: 'transfer' },
  { mode: 'post-copy', phase: 'transfer' },
] as const;

describe('a network that fails while memory moves', () => {
  const name = `mc${process.pid}`;
  const lab = labCommand(name);
  let world: World;
  let keeper: Keeper;
  let empty: unknown;

  beforeAll(async () => {
    world = await makeWorld(name, 'a', 'b');
    empty = await stateOf(world, 'b');
  });

  beforeEach(async () => {
    keeper = await startKeeper(world, 'a', { options: OPTIONS });
  });

  afterAll(async () => {
    await world?.down();
  });

  for (const { mode, phase } of CUTS) {
    test(`in ${phase} of ${mode}: the job runs on at the source, the target is clean`, async () => {
      const move = await moveUntil(world, mode, phase);
      const from = performance.now();
      await lab('cut', 'a', 'b');
      const { code, said } = await endOf(move);
      const took = performance.now() - from;
      await lab('heal', 'a', 'b');
      expect(said).toMatchObject({ type: 'error', location: 'source-running' });
      expect(said.code).toMatch(/^(TRANSFER_FAILED|CONNECTION_LOST)$/);
      expect(code).toBe(said.exit);
      expect(await world.ask('a', 'migrate ls')).toMatch(/^keeper\s+l3\s+running/m);
      await expect.poll(() => recover(world, 'b'), SOON).toBe(0);
      await expect.poll(() => stateOf(world, 'b'), SOON).toEqual(empty);
      expectPass(await keeper.judge('a'));
      tell(`cut in ${phase} of ${mode}`, { code: said.code, 'known after (ms)': took });
      expectPass(await keeper.end('a'));
    });
  }

  test('in post-copy of post-copy: the job is lost, its copy goes on from the freeze', async () => {
    const move = await moveUntil(world, 'post-copy', 'post-copy');
    await lab('cut', 'a', 'b');
    const { code, said } = await endOf(move);
    await lab('heal', 'a', 'b');
    expect({ code, said }).toMatchObject({ code: 21, said: { code: 'HALTED_UNKNOWN' } });
    expect(said.message).toContain('memory did not follow');
    await expectLost(world);
    expect(await world.ask('a', 'migrate recover keeper --lost resume')).toBe(
      'keeper: rolled-back, runs on the source',
    );
    expectPass(await keeper.judge('a'));
    expectPass(await keeper.end('a'));
    await expect.poll(() => stateOf(world, 'b'), SOON).toEqual(empty);
  });

  test('and of kind l2: the copy has its own MAC again, and the neighbours know', async () => {
    expectPass(await keeper.end('a'));
    const network = '--l2 --bridge br0';
    keeper = await startKeeper(world, 'a', { options: OPTIONS, network });
    const links = 'migrate exec keeper ip -o link; migrate exec keeper ip route; ';
    const own = `${links} migrate exec keeper ip neigh show nud permanent`;
    const before = await world.ask('a', own);
    const move = await moveUntil(world, 'post-copy', 'post-copy');
    await lab('cut', 'a', 'b');
    await endOf(move);
    await lab('heal', 'a', 'b');
    await expectLost(world, 'l2');
    await world.ask('a', 'migrate recover keeper --lost resume');
    expect(await world.ask('a', own)).toBe(before);
    await world.ask('b', `ping -c 3 -i 0.5 -W 1 ${KEEPER_ADDRESS}`);
    expectPass(await keeper.end('a'));
    await expect.poll(() => stateOf(world, 'b'), SOON).toEqual(empty);
  });

  test('and an agent that is killed in post-copy: the same', async () => {
    const move = await moveUntil(world, 'post-copy', 'post-copy');
    await world.ask('b', KILL_AGENT);
    const { code, said } = await endOf(move);
    expect({ code, said }).toMatchObject({ code: 21, said: { code: 'HALTED_UNKNOWN' } });
    await expectLost(world);
    await expectEnded(world, empty);
  });

  test('and a source whose migrate is killed in post-copy: the same', async () => {
    const move = await moveUntil(world, 'post-copy', 'post-copy');
    await world.ask('a', 'kill -9 $(cat /run/keeper-move.pid)');
    await move.end();
    await expectLost(world);
    await expectEnded(world, empty);
  });
});

interface Failure {
  readonly code: string;
  readonly exit: number;
  readonly message: string;
}

async function endOf(move: Running): Promise<{ code: number; said: Failure }> {
  const { code, out } = await move.end();
  return { code, said: JSON.parse(out.split('\n').at(-1) ?? '') as Failure };
}

/** The job was ended over there, never with a wrong page; its copy stands frozen and is told of. */
async function expectLost(world: World, kind = 'l3'): Promise<void> {
  await expect.poll(() => keepers(world, 'b'), SOON).toBe('0');
  const said = async () => (await world.sh('a', 'timeout 60 migrate recover')).out;
  await expect.poll(said, SOON).toContain('keeper: ran on the target and was lost there');
  expect((await world.sh('a', 'migrate recover')).code).toBe(20);
  expect(await world.ask('a', 'migrate ls')).toMatch(
    new RegExp(`^keeper\\s+${kind}\\s+frozen`, 'm'),
  );
  expect(await world.ask('b', 'migrate ls')).not.toContain('keeper');
}

/** Its copy ends, and nothing of it is left on either host. */
async function expectEnded(world: World, empty: unknown): Promise<void> {
  expect((await world.sh('a', 'migrate recover keeper --lost end')).code).toBe(0);
  expect(await keepers(world, 'a')).toBe('0');
  for (const host of ['a', 'b'])
    expect(await world.ask(host, 'migrate ls')).not.toContain('keeper');
  await expect.poll(() => stateOf(world, 'b'), SOON).toEqual(empty);
}

/** How many processes of the job live on a host. */
function keepers(world: World, host: string): Promise<string> {
  return world.ask(host, 'pgrep -cx memory-keeper || true');
}

async function recover(world: World, host: string): Promise<number> {
  return (await world.sh(host, 'timeout 60 migrate recover')).code;
}

async function stateOf(world: World, host: string): Promise<unknown> {
  return JSON.parse(await world.ask(host, 'exec python3 /shared/workloads/host-state.py'));
}
