import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectPass, startKeeper } from './keeper.ts';
import { type MemoryMove, moveMemory } from './memory-move.ts';
import { makeWorld, type Running, tell, type World } from './world.ts';

const LATE_MS = 100;
const MIB = 1024 * 1024;

/** `far` is b, behind something that makes the way to it long. */
const FAR = `
  mkdir -p -m 700 ~/.ssh
  printf 'Host far\\n HostName 127.0.0.1\\n Port 2200\\n HostKeyAlias b\\n' >>~/.ssh/config
  exec python3 /shared/workloads/far-away.py 2200 b 22 ${LATE_MS}
`;

describe('a job whose target is far away', () => {
  let world: World;
  let proxy: Running;

  beforeAll(async () => {
    world = await makeWorld(`ch${process.pid}`, 'a', 'b');
    proxy = world.start('a', FAR);
    expect(await proxy.line()).toBe('ready');
  });

  afterAll(async () => {
    await world?.down();
    await proxy?.end();
  });

  test('gets there by several channels, every page right, and sooner than by one', async () => {
    const options = 'size=64 dirty=1 kinds=anon';
    const keeper = await startKeeper(world, 'a', { options });
    const moves: MemoryMove[] = [];
    for (const channels of ['auto', '1']) {
      const words = `--mode pre-copy --compress none --channels ${channels}`;
      moves.push(await moveMemory(world, 'keeper', 'a', 'far', words));
      expectPass(await keeper.judge('b'));
      await moveMemory(world, 'keeper', 'b', 'a', '--mode stop-copy');
    }
    expectPass(await keeper.end('a'));
    expect(moves[0]?.channels).toBeGreaterThan(1);
    expect(moves[1]?.channels).toBe(1);
    const [several, one] = moves.map(({ rounds: [first] }) => {
      return (first?.wireBytes ?? 0) / MIB / ((first?.ms ?? 0) / 1000);
    });
    tell(`${2 * LATE_MS} ms away`, {
      'MiB/s by several channels': several ?? 0,
      'MiB/s by one': one ?? 0,
      'frozen (ms)': moves.map(({ frozenMs }) => frozenMs).join(' and '),
    });
    expect(several).toBeGreaterThan(one ?? 0);
  });
});
