import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MoveMode } from '../../src/index.ts';
import { expectPass, KEEPER_ADDRESS, KEEPER_PORT, startKeeper } from '../lab/keeper.ts';
import { type MemoryMove, moveMemory } from '../lab/memory-move.ts';
import { makeWorld, tell, type World } from '../lab/world.ts';

const MIB = 1024 * 1024;
const MODES: readonly MoveMode[] = ['stop-copy', 'pre-copy', 'post-copy', 'auto'];
/** One process, and four that share what they have not changed. */
const OPTIONS = ['size=64 dirty=5 threads=2', 'size=64 dirty=5 processes=4'];
const SOON = { timeout: 20_000, interval: 500 };

describe('the memory of a job', () => {
  let world: World;
  let empty: unknown;

  beforeAll(async () => {
    world = await makeWorld(`mm${process.pid}`, 'a', 'b', 'c');
    empty = await stateOf(world, 'b');
  });

  afterAll(async () => {
    await world?.down();
  });

  for (const mode of MODES) {
    test(`is exactly right after moves there and back by ${mode}, and connections live`, async () => {
      for (const options of OPTIONS) {
        const keeper = await startKeeper(world, 'a', { options });
        const client = world.start(
          'c',
          `exec python3 /shared/workloads/byte-client.py ${KEEPER_ADDRESS} ${KEEPER_PORT}`,
        );
        expect(await client.line()).toBe('ready');
        const there = await moveMemory(world, 'keeper', 'a', 'b', `--mode ${mode}`);
        const back = await moveMemory(world, 'keeper', 'b', 'a', `--mode ${mode}`);
        const { out } = await client.end();
        expectPass(await keeper.end('a'));
        for (const move of [there, back]) expectRecord(move, mode);
        const totals = JSON.parse(out) as { sent: number };
        expect(totals).toMatchObject({ wrong: 0, error: null, received: totals.sent });
        tellMove(`${mode}, ${options}`, there);
      }
    });
  }

  test.each(['stop-copy', 'pre-copy', 'post-copy'] as const)(
    'that was written to and is zero costs less than a hundredth of its size by %s',
    async (mode) => {
      const bytes = 1024 * MIB;
      const options = `size=1 zero=${bytes / MIB} kinds=anon dirty=0`;
      const keeper = await startKeeper(world, 'a', { options });
      const words = `--mode ${mode} --compress none`;
      const there = await moveMemory(world, 'keeper', 'a', 'b', words);
      tellMove(`${bytes / MIB} MiB of zeros, ${mode}`, there);
      // CRIU's images and what the job has beside its zeros are part of every move.
      expect(there.memoryBytes).toBeGreaterThan(bytes);
      expect(zeroBytesOf(there)).toBeGreaterThanOrEqual(bytes);
      expect(there.wireBytes).toBeLessThan(bytes / 100);
      expectPass(await keeper.end('b'));
    },
  );

  describe('of a job that writes to all of it all the time', () => {
    const restless = { options: 'size=64 dirty=2000 threads=2 kinds=anon' };

    test('does not converge: 1, within three rounds, and nothing has happened', async () => {
      const keeper = await startKeeper(world, 'a', restless);
      const { code, out, err } = await world.sh(
        'a',
        'timeout 60 migrate keeper b --mode pre-copy --max-frozen 20 --json',
      );
      const lines = out.split('\n').map((line) => JSON.parse(line) as { name?: string });
      expect({ code, said: lines.at(-1) }, err).toMatchObject({
        ...{ code: 1, said: { code: 'NOT_CONVERGING', exit: 1, location: 'source-running' } },
      });
      const [rounds = ''] = /(?<=after )\d+(?= rounds)/.exec(out) ?? [];
      expect(Number(rounds)).toBeGreaterThan(0);
      expect(Number(rounds)).toBeLessThanOrEqual(3);
      expect(await world.ask('a', 'migrate ls')).toMatch(/^keeper\s+l3\s+running/m);
      await expect.poll(() => stateOf(world, 'b'), SOON).toEqual(empty);
      expectPass(await keeper.end('a'));
    });

    test('moves with a warning when nobody has set a limit', async () => {
      const keeper = await startKeeper(world, 'a', restless);
      const there = await moveMemory(world, 'keeper', 'a', 'b', '--mode pre-copy');
      expect(there).toMatchObject({ mode: 'pre-copy', location: 'target-running' });
      expect(there.predictedFrozenMs).not.toBeNull();
      expect(there.warnings.join()).toMatch(/pre-copy does not converge/);
      tellMove('pre-copy of a job that writes everything', there);
      expectPass(await keeper.end('b'));
    });

    test('follows it when `auto` cannot keep the limit otherwise', async () => {
      const keeper = await startKeeper(world, 'a', restless);
      const there = await moveMemory(world, 'keeper', 'a', 'b', '--mode auto --max-frozen 20');
      expect(there).toMatchObject({ mode: 'post-copy', location: 'target-running' });
      expect(there.rounds.at(-1)?.kind).toBe('post-copy');
      expect(there.warnings.join()).toMatch(/pre-copy does not converge/);
      tellMove('auto of a job that writes everything', there);
      expectPass(await keeper.judge('b'));
      await moveMemory(world, 'keeper', 'b', 'a', '--mode auto --max-frozen 20');
      expectPass(await keeper.end('a'));
    });
  });
});

/** What the result of a move says of its memory. */
function expectRecord(move: MemoryMove, wish: MoveMode): void {
  const mode = wish === 'auto' ? 'pre-copy' : wish;
  expect(move).toMatchObject({ mode, modeReason: expect.stringMatching(/\w/) });
  const kinds = move.rounds.map(({ kind }) => kind);
  const ahead = kinds.filter((kind) => kind === 'pre-copy').length;
  const last = mode === 'post-copy' ? ['final', 'post-copy'] : ['final'];
  expect(kinds.slice(ahead)).toEqual(last);
  if (mode === 'pre-copy') {
    expect(ahead).toBeGreaterThan(1);
    expect(move.predictedFrozenMs).toBeGreaterThan(0);
    expect(move.rounds[1]?.memoryBytes).toBeLessThan(move.rounds[0]?.memoryBytes ?? 0);
  }
  if (mode === 'stop-copy')
    expect({ ahead, predicted: move.predictedFrozenMs }).toEqual({
      ahead: 0,
      predicted: null,
    });
}

function zeroBytesOf({ rounds }: MemoryMove): number {
  return rounds.reduce((sum, round) => sum + round.zeroBytes, 0);
}

function tellMove(what: string, move: MemoryMove): void {
  tell(what, {
    mode: move.mode,
    'frozen (ms)': move.frozenMs,
    'predicted (ms)': move.predictedFrozenMs ?? 'nothing',
    'memory (MiB)': move.memoryBytes / MIB,
    'wire (MiB)': move.wireBytes / MIB,
    'rounds (MiB)': move.rounds.map((round) => Math.round(round.memoryBytes / MIB)).join(' '),
  });
}

async function stateOf(world: World, host: string): Promise<unknown> {
  return JSON.parse(await world.ask(host, 'exec python3 /shared/workloads/host-state.py'));
}
