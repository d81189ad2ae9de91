import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeWorld, type Running, tell, type World } from './world.ts';

const ADDRESS = '10.77.0.152';

describe('a checkpoint that is killed while the job is frozen', () => {
  let world: World;
  let client: Running;
  let before: unknown;

  beforeAll(async () => {
    world = await makeWorld(`kl${process.pid}`, 'a', 'c');
    const server = '/shared/workloads/echo-server 7000 /root/open-file';
    await world.ask('a', `migrate run held --l3 --ip ${ADDRESS}/24 -- ${server}`);
    // What a first checkpoint leaves on purpose is there before the comparison begins.
    await world.ask('a', 'migrate checkpoint held -o /root/held.bundle --leave-running');
    client = world.start('c', `exec python3 /shared/workloads/byte-client.py ${ADDRESS} 7000`);
    expect(await client.line()).toBe('ready');
    before = await stateOf(world, 'a');
  });

  afterAll(async () => {
    await world?.down();
  });

  test('is undone by what CRIU starts then, or by migrate recover', async () => {
    client.say('mark');
    await client.line();
    await world.ask('a', CHECKPOINT_AND_KILL);
    await world.ask('a', 'sleep 1; migrate recover');
    const soon = { timeout: 10_000, interval: 200 };
    await expect.poll(() => world.ask('a', 'migrate ls'), soon).toMatch(/^held\s+l3\s+running/m);
    client.say('mark');
    const silence = JSON.parse(await client.line()) as { gapMs: number };
    tell('a checkpoint that was killed', { 'silence (ms)': silence.gapMs });
  });

  test('leaves the connection as it was, and nothing else', async () => {
    expect(await stateOf(world, 'a')).toEqual(before);
    expect((await world.sh('a', 'test -e /root/held.bundle.partial')).code).not.toBe(0);
    const totals = JSON.parse((await client.end()).out) as { sent: number; received: number };
    expect(totals).toMatchObject({ wrong: 0, error: null, received: totals.sent });
  });
});

describe('an agent that is killed at the commit', () => {
  let world: World;
  let client: Running;

  beforeAll(async () => {
    world = await makeWorld(`kc${process.pid}`, 'a', 'b', 'c');
    const server = '/shared/workloads/echo-server 7000 /root/open-file';
    for (const host of ['a', 'b']) await world.ask(host, 'echo open > /root/open-file');
    await world.ask('a', `migrate run held --l3 --ip ${ADDRESS}/24 -- ${server}`);
    client = world.start('c', `exec python3 /shared/workloads/byte-client.py ${ADDRESS} 7000`);
    expect(await client.line()).toBe('ready');
  });

  afterAll(async () => {
    await world?.down();
  });

  test('leaves a job that runs on one host after recover', async () => {
    const empty = await stateOf(world, 'b');
    const killed = world.start('b', KILL_AT_COMMIT);
    await killed.line();
    const move = await world.sh('a', 'migrate held b --quiet');
    expect([0, 3, 21], move.err).toContain(move.code);
    const { out } = await killed.end();
    const soon = { timeout: 20_000, interval: 500 };
    const recover = async () => (await world.sh('a', 'migrate recover')).code;
    await expect.poll(recover, soon).toBe(0);
    await world.ask('b', 'migrate recover');
    const runs = /^held\s+l3\s+running/m;
    const lists = await Promise.all(['a', 'b'].map((host) => world.ask(host, 'migrate ls')));
    expect(lists.filter((list) => runs.test(list))).toHaveLength(1);
    if (runs.test(lists[0] ?? '')) expect(await stateOf(world, 'b')).toEqual(empty);
    const { error } = JSON.parse((await client.end()).out) as { error: string | null };
    tell('an agent that was killed at the commit', {
      // docs/limits.md: what it restored may say goodbye to its clients when it is killed.
      'the connection': error ?? 'lives',
      'exit of the move': String(move.code),
      'the job runs on': runs.test(lists[0] ?? '') ? 'a' : 'b',
      agent: out.trim(),
    });
  });
});

/** The agent is the one that has the journal open. */
const KILL_AT_COMMIT = `
echo ready
end=$(($(date +%s) + 15))
while [ "$(date +%s)" -lt "$end" ]; do
  for file in /var/lib/migrate/journal/*.target.jsonl; do
    if [ -e "$file" ] && while read -r line; do
      case $line in *'"committed"'*) break ;; esac
      line=
    done < "$file" && [ -n "$line" ]; then
      for fd in /proc/[0-9]*/fd/*; do
        if [ "$fd" -ef "$file" ]; then
          pid=\${fd#/proc/}; kill -9 "\${pid%%/*}"; echo killed; exit
        fi
      done
    fi
  done
done`;

const CHECKPOINT_AND_KILL = `
cgroup=$(migrate show held | sed -n 's/^cgroup: //p')
migrate checkpoint held -o /root/held.bundle & checkpoint=$!
frozen=0
while [ "$frozen" != 1 ] && kill -0 $checkpoint; do read -r frozen < "$cgroup/cgroup.freeze"; done
kill -9 $checkpoint
test "$frozen" = 1`;

async function stateOf(world: World, host: string): Promise<unknown> {
  return JSON.parse(await world.ask(host, 'exec python3 /shared/workloads/host-state.py'));
}
