import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ADDRESS,
  makeNetns,
  makeSettledWorld,
  programsInside,
  startAll,
  startInside,
  stateOf,
} from './netns-world.ts';
import { endWrk, startWrk } from './web-clients.ts';
import { tell, type World } from './world.ts';

const SOON = { timeout: 10_000, interval: 500 };
const LOAD = { options: '-c4 --timeout 20', seconds: 300 };
/** A program of the namespace holds it open; on the target it is missing. */
const FILE = '/root/held-open';
const HOMES = '/sys/fs/cgroup/homes';

describe('a namespace whose restore fails', () => {
  let world: World;
  let empty: unknown;

  beforeAll(async () => {
    world = await makeSettledWorld(`nr${process.pid}`, 'a', 'b', 'c');
    empty = await stateOf(world, 'b');
    await makeNetns(world, 'a');
    await startAll(world, 'a', '/shared/ticks');
    await startInside(world, 'a', `/shared/workloads/echo-server 7000 ${FILE}`);
    await world.ask('a', GIVE_HOMES);
    // What a first move leaves on purpose is there before anything is compared.
    await world.sh('a', 'migrate netns:web b --quiet');
  });

  afterAll(async () => {
    await world?.down();
  });

  test('runs on the source, all of it, in the cgroups it came from, with the same connections', async () => {
    const before = { state: await steadyState(world, 'a'), cgroups: await cgroupsInside(world) };
    const wrk = startWrk(world, 'c', `http://${ADDRESS}/`, LOAD);
    const { code, out, err } = await world.sh('a', 'migrate netns:web b --json');
    const said = JSON.parse(out.split('\n').at(-1) ?? '') as Record<string, unknown>;
    expect(code, `${out}\n${err}`).toBe(16);
    expect(said).toMatchObject({ type: 'error', exit: 16, location: 'source-running' });
    expect(said.message).toContain(FILE.slice(1));
    const { requests, failures } = await endWrk(wrk);
    expect(failures).toEqual([]);
    tell('a namespace whose restore failed', { requests });
    expect(await cgroupsInside(world)).toEqual(before.cgroups);
    await expect.poll(() => steadyState(world, 'a'), SOON).toEqual(before.state);
    expect(await programsInside(world, 'a')).toContain('echo-server');
    expect(await world.ask('a', 'migrate ls')).not.toContain('netns:web');
  });

  test('leaves nothing on the target but the log of why', async () => {
    const kept = '/var/log/migrate/netns:web.restore.log';
    const now = async () => {
      const state = await stateOf(world, 'b');
      return { ...state, files: (state.files as string[]).filter((path) => path !== kept) };
    };
    await expect.poll(now, SOON).toEqual(empty);
  });

  test('is put back by recover when the move is killed while it is frozen', async () => {
    const before = await cgroupsInside(world);
    await world.ask('a', KILL_WHEN_FROZEN);
    const settled = async () => {
      await world.sh('a', 'migrate recover');
      return cgroupsInside(world);
    };
    await expect.poll(settled, SOON).toEqual(before);
    expect(await world.ask('a', 'migrate status')).toBe('no move is under way');
    await world.ask('c', `curl -sS -o /dev/null http://${ADDRESS}/`);
  });

  test('moves once the file is there', async () => {
    await world.ask('a', `scp -q ${FILE} b:${FILE}`);
    await world.ask('b', 'migrate recover');
    expect(await world.move('netns:web', 'a', 'b')).toMatchObject({ location: 'target-running' });
    expect(await programsInside(world, 'b')).toContain('echo-server');
  });
});

describe('a namespace that cannot go as it is', () => {
  let world: World;

  beforeAll(async () => {
    world = await makeSettledWorld(`nf${process.pid}`, 'a', 'b');
    await makeNetns(world, 'a');
    await startInside(world, 'a', 'sleep 100001');
  });

  afterAll(async () => {
    await world?.down();
  });

  /** Starts something, tries to move, ends it again. */
  async function refused(start: string, end: string, says: RegExp, hint: RegExp): Promise<void> {
    await world.ask('a', start);
    const { code, err } = await world.sh('a', 'migrate netns:web b --quiet').finally(async () => {
      await world.sh('a', end);
    });
    expect(code, err).toBe(10);
    expect(err).toMatch(says);
    expect(err).toMatch(hint);
    expect(err).toMatch(/^job: runs on the source$/m);
    expect(await world.ask('a', 'ip netns pids web')).not.toBe('');
  }

  test.each([
    [
      'a program with a controlling terminal',
      `python3 -c 'import os, pty; pid, _ = pty.fork()
if pid == 0: os.execvp("ip", "ip netns exec web sleep 200001".split())
if os.fork(): os._exit(0)
os.setsid(); null = os.open("/dev/null", os.O_RDWR)
for fd in range(3): os.dup2(null, fd)
os.execvp("sleep", ["sleep", "200002"])' & sleep 1`,
      'pkill -f "sleep 20000[12]"',
      /process \d+ \(sleep\) has a controlling terminal/,
      /hint: .*setsid/,
    ],
    [
      'a pipe that leads out of the namespace',
      `python3 ${'/shared/workloads/detach.py'} sh -c 'ip netns exec web sleep 200003 | sleep 200004' && sleep 1`,
      'pkill -f "sleep 20000[34]"',
      /process \d+ \(sleep\) has on descriptor 1 a pipe that process \d+ \(sleep\) has too/,
      /hint: start it again without that pipe/,
    ],
    [
      'a child that has left the namespace',
      `ip netns exec web python3 ${'/shared/workloads/detach.py'} sh -c 'nsenter --net=/proc/1/ns/net sleep 200005; true' && sleep 1`,
      'pkill -f "sleep 200005"',
      /process \d+ \(sleep\) has left the network namespace, its parent is in it/,
      /hint: end it/,
    ],
    [
      'a program in a PID namespace of its own',
      `ip netns exec web python3 ${'/shared/workloads/detach.py'} unshare --pid --fork sleep 200006 && sleep 1`,
      'pkill -9 -f "sleep 200006"',
      /process \d+ \(sleep\) is in another PID namespace than process \d+ \(unshare\)/,
      /hint: end it/,
    ],
    [
      'a program with a mount of its own',
      `ip netns exec web python3 ${'/shared/workloads/detach.py'} sh -c 'mount -t tmpfs none /mnt; exec sleep 200007' && sleep 1`,
      'pkill -f "sleep 200007"',
      /process \d+ \(sleep\) has a mount of its own on [/]mnt/,
      /hint: .*without that mount/,
    ],
    [
      'a program that stays and took a socket out of the namespace',
      `python3 ${'/shared/workloads/detach.py'} python3 -c 'import os, socket, time
os.setns(os.open("/run/netns/web", 0)); taken = socket.create_server(("0.0.0.0", 7))
os.setns(os.open("/proc/1/ns/net", 0)); time.sleep(200008)' && sleep 1`,
      'pkill -f "sleep.[2]00008"',
      /process \d+ \(python3\) stays, and has on descriptor \d+ a socket of the network/,
      /hint: .*start all of it inside/,
    ],
    [
      'a program that stays and has a thread in the namespace',
      `python3 ${'/shared/workloads/detach.py'} python3 -c 'import os, threading, time
def run(): os.setns(os.open("/run/netns/web", 0)); time.sleep(200009)
threading.Thread(target=run).start()' && sleep 1`,
      'pkill -f "sleep.[2]00009"',
      /process \d+ \(python3\) stays, and has a thread in the network namespace/,
      /hint: .*all of its threads/,
    ],
  ])('%s: 10', async (_, start, end, says, hint) => refused(start, end, says, hint));

  test('nothing runs in it: 10, because there is nothing that only a live move could carry', async () => {
    await makeNetns(world, 'a', 'idle');
    const { code, err } = await world.sh('a', 'migrate netns:idle b --quiet');
    expect(code, err).toBe(10);
    expect(err).toMatch(/nothing runs in the network namespace idle/);
    expect(await world.ask('a', 'ip netns list')).toContain('idle');
  });

  test('a namespace that is not there: 2', async () => {
    const { code, err } = await world.sh('a', 'migrate netns:none b --quiet');
    expect(code, err).toBe(2);
    expect(err).toMatch(/no network namespace/);
  });

  test('a namespace of that name on the target: 10', async () => {
    await world.ask('b', 'ip netns add web');
    const { code, err } = await world.sh('a', 'migrate netns:web b --quiet');
    expect(code, err).toBe(10);
    expect(err).toMatch(/a network namespace web is there already/);
    await world.ask('b', 'ip netns del web');
    await world.move('netns:web', 'a', 'b');
  });
});

/** Each tree in a cgroup of its own, as a service manager would have it. */
const GIVE_HOMES = `
for pid in $(ip netns pids web); do
  home=${HOMES}/$(cat /proc/$pid/comm)
  mkdir -p "$home" && echo "$pid" >"$home/cgroup.procs"
done`;

const KILL_WHEN_FROZEN = `
migrate netns:web b --quiet & move=$!
for _ in $(seq 1000000); do
  read -r frozen <'/sys/fs/cgroup/migrate/netns:web/0/cgroup.freeze' && [ "$frozen" = 1 ] && break
done 2>/dev/null
kill -9 $move
test "$frozen" = 1`;

/** The program and the cgroup of every process in the namespace, without those that come and go. */
async function cgroupsInside(world: World): Promise<string[]> {
  const script = `for pid in $(ip netns pids web); do
    echo "$(cat /proc/$pid/comm) $(sed -n s/^0:://p /proc/$pid/cgroup)"
  done 2>/dev/null; true`;
  const lines = (await world.ask('a', script)).split('\n');
  return lines.filter((line) => !/^(sleep|date|sh|) /.test(line)).sort();
}

/** Without the loop's programs, and without what a failed move keeps: CRIU's log. */
async function steadyState(world: World, host: string): Promise<unknown> {
  const state = await stateOf(world, host);
  const isPassing = (line: string) => /^(sleep 1|date)/.test(line);
  const processes = (state.processes as string[]).filter((line) => !isPassing(line));
  return { ...state, processes };
}
