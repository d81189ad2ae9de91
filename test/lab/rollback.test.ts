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

describe('a target that cannot prepare', () => {
  let world: World;

  beforeAll(async () => {
    world = await makeWorld(`rp${process.pid}`, 'a', 'b');
  });

  afterAll(async () => {
    await world?.down();
  });

  test('is named with its own words, and nothing is half undone on the source', async () => {
    await world.ask('a', `migrate run unready --l3 --ip ${ADDRESS}/24 -- sleep 1000`);
    const before = await stateOf(world, 'a');
    // Where the target would write the job's log.
    await world.ask('b', 'mkdir -p /var/log/migrate/unready.log');
    const empty = await stateOf(world, 'b');
    const { code, out } = await world.sh('a', 'migrate unready b --json');
    const said = JSON.parse(out.split('\n').at(-1) ?? '') as Failure;
    expect({ ...said, status: code }, out).toMatchObject({
      ...{ code: 'RESTORE_FAILED', exit: 16, status: 16, location: 'source-running' },
    });
    expect(said.message).toContain('unready.log');
    const soon = { timeout: 10_000, interval: 500 };
    await expect.poll(() => stateOf(world, 'a'), soon).toEqual(before);
    await expect.poll(() => stateOf(world, 'b'), soon).toEqual(empty);
    await world.ask('b', 'rmdir /var/log/migrate/unready.log');
    await world.move('unready', 'a', 'b');
  });
});

describe('a job that ends by itself while it moves', () => {
  let world: World;

  beforeAll(async () => {
    world = await makeWorld(`re${process.pid}`, 'a', 'b');
  });

  afterAll(async () => {
    await world?.down();
  });

  test('ends with 1, is nowhere, and leaves nothing on the target', async () => {
    const empty = await stateOf(world, 'b');
    await world.ask('a', `migrate run brief --l3 --ip ${ADDRESS}/24 -- sleep 1000`);
    const { out } = await world.sh('a', MOVE_AND_END);
    const said = JSON.parse(out.split('\n').at(-1) ?? '') as Failure;
    expect(said).toMatchObject({ type: 'error', code: 'JOB_ENDED', exit: 1, location: 'ended' });
    const soon = { timeout: 10_000, interval: 500 };
    await expect.poll(() => stateOf(world, 'b'), soon).toEqual(empty);
    expect(await world.ask('a', 'migrate ls')).toMatch(/^brief\s+l3\s+ended/m);
    const again = await world.sh('a', 'migrate brief b');
    expect(again).toMatchObject({ code: 1, err: expect.stringMatching(/job: has ended.*$/) });
    await world.ask('a', 'migrate rm brief');
  });
});

/** The program is killed as soon as the move has connected, long before it would be frozen. */
const MOVE_AND_END = `
init=$(migrate show brief | sed -n 's/^initPid: //p')
migrate brief b --json | while read -r line; do
  case $line in *'"plan"'*) pkill -9 -P "$init" ;; esac
  printf '%s\\n' "$line"
done`;

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
