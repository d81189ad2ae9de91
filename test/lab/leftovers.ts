import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeWorld, type Running, tell, type World } from './world.ts';

const JOBS = [
  { name: 'flat', network: '--l3', v4: '10.77.0.141', v6: 'fd77::141' },
  { name: 'deep', network: '--l2 --bridge br0', v4: '10.77.0.142', v6: 'fd77::142' },
] as const;
/** sshd's processes of a connection that has ended, and routers' advertisements, take a moment. */
const SOON = { timeout: 10_000, interval: 500 };
/** A host's own link-local address gets its route when duplicate address detection is over. */
const SETTLED = 'until [ -z "$(ip -6 addr show tentative)" ]; do sleep 0.1; done';

/** The tests of one file: `moves` back and forth, an even number. */
export function testLeftovers(moves: number): void {
  describe('what a move leaves', () => {
    let world: World;
    const clients: Running[] = [];
    const empty: Record<string, unknown> = {};

    beforeAll(async () => {
      world = await makeWorld(`le${process.pid}`, 'a', 'b', 'c');
      for (const host of ['a', 'b']) {
        await world.ask(host, SETTLED);
        empty[host] = await stateOf(world, host);
      }
      for (const { name, network, v4, v6 } of JOBS) {
        const ip = `--ip ${v4}/24 --ip ${v6}/64`;
        const server = '/shared/workloads/echo-server 7000';
        await world.ask('a', `migrate run ${name} ${network} ${ip} -- ${server}`);
        for (const address of [v4, v6]) {
          const program = `exec python3 /shared/workloads/byte-client.py ${address} 7000`;
          const client = world.start('c', program);
          expect(await client.line()).toBe('ready');
          clients.push(client);
        }
        await world.move(name, 'a', 'b');
      }
    });

    afterAll(async () => {
      await world?.down();
    });

    test('on the source there is nothing of the jobs any more', async () => {
      await expect.poll(() => stateOf(world, 'a'), SOON).toEqual(empty.a);
      for (const { v4, v6 } of JOBS) {
        expect(await world.ask('a', `ss -Htuan src ${v4} or src [${v6}]`)).toBe('');
      }
    });

    test('the addresses answer from the target alone', async () => {
      for (const { name, v4, v6 } of JOBS) {
        const place = name === 'flat' ? '' : `-n migrate-${name}`;
        const device = await world.ask('b', `ip ${place} -o link show eth0`);
        const mac = /link\/ether ([0-9a-f:]{17})/.exec(device)?.[1];
        expect(mac).toBeDefined();
        for (const address of [v4, v6]) {
          await world.ask('c', `ip neigh flush dev eth0; ping -qc1 -W5 ${address}`);
          expect(await world.ask('c', `ip neigh show ${address}`)).toContain(mac);
        }
      }
    });

    test('ss on the target shows the sockets of an l3 job on its addresses', async () => {
      const [{ v4, v6 }] = JOBS;
      for (const [address, peer] of [
        [v4, '10.77.0.13'],
        [v6, 'fd77::13'],
      ]) {
        const sockets = await world.ask('b', `ss -Htan | grep -F "${address}"`);
        expect(sockets).toMatch(new RegExp(`^ESTAB .*${address}\\]?:7000 .*${peer}\\]?:`, 'm'));
      }
      // One listener for both families has one place in the kernel's table, and that is IPv4's.
      const listeners = await world.ask('b', 'ss -Htln sport = :7000');
      expect(listeners).toContain(`[::ffff:${v4}]:7000`);
      expect(listeners).not.toMatch(/(0\.0\.0\.0|\*|\[::\]):7000/);
    });

    test(`after ${moves} moves there is no more than after the first`, async () => {
      const began = performance.now();
      await thereAndBack(world, 2);
      const before = { a: await stateOf(world, 'a'), b: await stateOf(world, 'b') };
      await thereAndBack(world, moves - 2);
      const took = performance.now() - began;
      await expect.poll(() => stateOf(world, 'a'), SOON).toEqual(before.a);
      await expect.poll(() => stateOf(world, 'b'), SOON).toEqual(before.b);
      tell(`${moves} moves with clients of every connection`, { 'a move (ms)': took / moves });
    });

    test('no client lost its connection or a byte', async () => {
      for (const client of clients) {
        const totals = JSON.parse((await client.end()).out) as { sent: number };
        expect(totals).toMatchObject({ wrong: 0, error: null, received: totals.sent });
      }
    });

    test('stopped and forgotten, the jobs leave nothing on the target either', async () => {
      for (const { name } of JOBS)
        await world.ask('b', `migrate stop ${name} && migrate rm ${name}`);
      await expect.poll(() => stateOf(world, 'b'), SOON).toEqual(empty.b);
    });
  });
}

async function stateOf(world: World, host: string): Promise<unknown> {
  return JSON.parse(await world.ask(host, 'exec python3 /shared/workloads/host-state.py'));
}

/** The l3 job, from b to a and back; one script, because each look from outside takes a while. */
async function thereAndBack(world: World, moves: number): Promise<void> {
  const script = `
    turn=0
    while [ $turn -lt ${moves / 2} ]; do
      migrate flat a --quiet && ssh a migrate flat b --quiet || exit
      turn=$((turn + 1))
    done`;
  await world.ask('b', script);
}
