import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeWorld, type Running, tell, type World } from './world.ts';

const ADDRESS = '10.77.0.150';
/** The job holds it open; on the target it is missing. */
const FILE = '/root/held-open';

describe('a restore that fails', () => {
  let world: World;
  let client: Running;
  let empty: unknown;

  beforeAll(async () => {
    world = await makeWorld(`rb${process.pid}`, 'a', 'b', 'c');
    empty = await stateOf(world, 'b');
    const server = `/shared/workloads/echo-server 7000 ${FILE}`;
    const ip = `--ip ${ADDRESS}/24 --ip fd77::150/64`;
    await world.ask('a', `migrate run held --l3 ${ip} -- ${server}`);
    client = world.start('c', `exec python3 /shared/workloads/byte-client.py ${ADDRESS} 7000`);
    expect(await client.line()).toBe('ready');
  });

  afterAll(async () => {
    await world?.down();
  });

  test('ends with 16, and the job serves the same connection on the source', async () => {
    client.say('mark');
    await client.line();
    const { code, out, err } = await world.sh('a', 'migrate held b --json');
    client.say('mark');
    const silence = JSON.parse(await client.line()) as { gapMs: number; received: number };
    const said = JSON.parse(out.split('\n').at(-1) ?? '') as Failure;
    expect({ code, exit: said.exit }, err).toEqual({ code: 16, exit: 16 });
    expect(said).toMatchObject({ type: 'error', location: 'source-running' });
    expect(said.message).toContain(FILE.slice(1));
    expect(await world.ask('a', 'migrate ls')).toMatch(/^held\s+l3\s+running/m);
    const { received } = silence;
    client.say('mark');
    const later = JSON.parse(await client.line()) as typeof silence;
    expect(later.received).toBeGreaterThanOrEqual(received);
    tell('a restore that failed', { 'silence (ms)': silence.gapMs, code: said.code });
  });

  test('leaves nothing on the target but the log of why', async () => {
    const soon = { timeout: 10_000, interval: 500 };
    await expect.poll(() => stateOf(world, 'b'), soon).toEqual(empty);
    expect(await world.ask('b', 'migrate ls')).not.toContain('held');
  });

  test('a second time, in words: the last line says where the job is', async () => {
    const { code, err } = await world.sh('a', 'migrate held b --quiet');
    expect(code).toBe(16);
    const lines = err.trim().split('\n');
    expect(lines[0]).toMatch(/^migrate: .*root\/held-open/);
    expect(lines.at(-1)).toMatch(/runs on the source/);
  });

  test('succeeds once the file is there, with every byte of the connection', async () => {
    await world.ask('a', `scp -q ${FILE} b:${FILE}`);
    expect(await world.move('held', 'a', 'b')).toMatchObject({ location: 'target-running' });
    const totals = JSON.parse((await client.end()).out) as { sent: number; received: number };
    expect(totals).toMatchObject({ wrong: 0, error: null, received: totals.sent });
  });
});

interface Failure {
  readonly exit: number;
  readonly code: string;
  readonly message: string;
}

/** Without what a failed move keeps: CRIU's log. */
async function stateOf(world: World, host: string): Promise<unknown> {
  const text = await world.ask(host, 'exec python3 /shared/workloads/host-state.py');
  const state = JSON.parse(text) as { files: string[] };
  const isKept = (path: string) => path === '/var/log/migrate/held.restore.log';
  return { ...state, files: state.files.filter((path) => !isKept(path)) };
}
