import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeFar } from './far.ts';
import { expectPass, startKeeper } from './keeper.ts';
import { moveMemory } from './memory-move.ts';
import { makeWorld, type Running, type World } from './world.ts';

const LATE_MS = 20;

describe('a job whose target is far away', () => {
  let world: World;
  let proxy: Running;

  beforeAll(async () => {
    world = await makeWorld(`ch${process.pid}`, 'a', 'b');
    proxy = await makeFar(world, LATE_MS);
  });

  afterAll(async () => {
    await world?.down();
    await proxy?.end();
  });

  test.each(['none', 'zstd'])('gets there by several channels, packing %s', async (packing) => {
    const keeper = await startKeeper(world, 'a', { options: 'size=40 zero=8 dirty=2' });
    const words = `--mode pre-copy --compress ${packing}`;
    const move = await moveMemory(world, 'keeper', 'a', 'far', words);
    expect(move.channels).toBeGreaterThan(1);
    expectPass(await keeper.judge('b'));
    const near = await moveMemory(world, 'keeper', 'b', 'a', `${words} --channels 1`);
    expect(near.channels).toBe(1);
    expectPass(await keeper.end('a'));
  });

  test('and by one where the host forwards no sockets', async () => {
    const forbid = 'echo AllowStreamLocalForwarding no >>/etc/ssh/sshd_config.d/lab.conf';
    await world.ask('b', `${forbid} && kill -HUP "$(cat /run/sshd.pid)" && sleep 1`);
    const keeper = await startKeeper(world, 'a', { options: 'size=40 dirty=2' });
    const move = await moveMemory(world, 'keeper', 'a', 'far', '--mode pre-copy');
    expect(move.channels).toBe(1);
    expectPass(await keeper.end('b'));
  });
});
