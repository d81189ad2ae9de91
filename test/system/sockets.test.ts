import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { classify, type Verdict } from '../../src/checkpoint/sockets/classify.ts';
import type { JobSockets } from '../../src/checkpoint/sockets/facts.ts';
import { readSockets } from '../../src/checkpoint/sockets/read.ts';

const PROGRAM = join(import.meta.dirname, '../workloads/sockets.py');
const started: (() => void)[] = [];

afterEach(() => {
  for (const end of started.splice(0)) end();
});

/** A program in a network namespace of its own, with the sockets that it was told to open. */
async function open(kinds: string, env: Record<string, string> = {}): Promise<Program> {
  const script = 'ip link set lo up && exec python3 "$0" "$@"';
  const child = spawn('unshare', ['--net', 'sh', '-c', script, PROGRAM, ...kinds.split(' ')], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  started.push(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => String((await lines.next()).value);
  const ready = await line();
  const pid = child.pid ?? 0;
  return {
    fdOf: (kind) => Number(new RegExp(`\\b${kind}=(-?\\d+)`).exec(ready)?.[1]),
    async say(words) {
      child.stdin.write(`${words}\n`);
      return line();
    },
    read() {
      const { ends, waiting } = readSockets({ pids: [pid], initPid: pid });
      // Node makes the pipes of a child's standard streams from unix sockets of its own.
      return { ends: ends.filter(({ holder }) => holder.fd > 2), waiting };
    },
  };
}

interface Program {
  fdOf(kind: string): number;
  say(words: string): Promise<string>;
  read(): JobSockets;
}

function verdictOn(program: Program, kind: string): Pick<Verdict, 'grade' | 'what'>[] {
  return classify(program.read())
    .filter(({ holder }) => holder.fd === program.fdOf(kind))
    .map(({ grade, what }) => ({ grade, what }));
}

function settingsOf(program: Program, kind: string) {
  const end = program.read().ends.find(({ holder }) => holder.fd === program.fdOf(kind));
  if (end === undefined || end.ring === true) throw new Error(`no socket of kind ${kind}`);
  const { options, groups } = end.answers.settings;
  return { options, groups };
}

describe('sockets that move as they are', () => {
  test('TCP, UDP, unix pairs, netlink and packet sockets get no verdict and carry nothing', async () => {
    const program = await open('listener udp pair packet');
    expect(classify(program.read())).toEqual([]);
    const carried = program
      .read()
      .ends.flatMap((end) =>
        end.ring === true ? [] : [...end.answers.settings.options, ...end.answers.settings.groups],
      );
    expect(carried).toEqual([]);
  });

  test('accepted connections carry nothing by themselves', async () => {
    const program = await open('listener echo');
    expect(classify(program.read())).toEqual([]);
    expect(settingsOf(program, 'echo')).toEqual({ options: [], groups: [] });
  });
});

describe('sockets with settings that CRIU forgets', () => {
  test('a listener tells its congestion control, user timeout and fast open queue', async () => {
    const program = await open('tuned');
    expect(classify(program.read())).toEqual([]);
    expect(settingsOf(program, 'tuned').options).toEqual([
      { name: 'tcp-congestion', value: 'reno' },
      { name: 'tcp-user-timeout', value: 12345 },
      { name: 'tcp-fastopen', value: 5 },
    ]);
  });

  test('a multicast receiver tells its groups with their devices', async () => {
    const program = await open('multicast multicast6', { DEVICE: 'lo' });
    expect(settingsOf(program, 'multicast')).toEqual({
      options: [{ name: 'ip-multicast-ttl', value: 7 }],
      groups: [{ group: '239.77.0.1', device: 'lo', mode: 'exclude', sources: [] }],
    });
    expect(settingsOf(program, 'multicast6')).toEqual({
      options: [{ name: 'ipv6-multicast-if', value: 'lo' }],
      groups: [{ group: 'ff15:0:0:0:0:0:0:77', device: 'lo', mode: 'exclude', sources: [] }],
    });
  });

  test('a netlink socket tells its options', async () => {
    const program = await open('netlink');
    expect(settingsOf(program, 'netlink').options).toEqual([{ name: 'netlink-ext-ack', value: 1 }]);
  });
});

describe('sockets that lose something', () => {
  test('a listener with connections that nobody has accepted says how many', async () => {
    const program = await open('listener');
    await program.say('connect');
    await program.say('connect');
    expect(verdictOn(program, 'listener')).toEqual([
      { grade: 'lost', what: '2 connections not accepted yet are lost' },
    ]);
  });

  test('a UDP socket with datagrams that nobody has read', async () => {
    const program = await open('unread');
    expect(verdictOn(program, 'unread')).toEqual([
      { grade: 'lost', what: 'what it had received and the program had not read is lost' },
    ]);
  });
});

describe('sockets that cannot move', () => {
  let directory: string;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'sockets-'));
  });

  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  const kinds = {
    mptcp: /^an MPTCP socket, which CRIU cannot dump$/,
    corked: /^a corked UDP socket/,
    queued: /^a netlink socket with data that the program has not read/,
    ring: /^a packet socket with a ring/,
    vsock: /^a vsock socket/,
    sctp: /^an SCTP socket/,
    bpf: /^a socket with an eBPF filter/,
    uring: /^a ring of io_uring/,
  };

  for (const [kind, what] of Object.entries(kinds)) {
    test(`${kind}: refused with its reason`, async ({ skip }) => {
      const program = await open(kind);
      skip(program.fdOf(kind) < 0, `socket(2): this kernel has no ${kind}`);
      const [verdict, ...others] = verdictOn(program, kind);
      expect(others).toEqual([]);
      expect(verdict?.grade).toBe('impossible');
      expect(verdict?.what).toMatch(what);
    });
  }

  test('a unix socket connected to a process outside the job', async () => {
    const path = join(directory, 'log');
    const script = `import socket as s,signal; o=s.socket(s.AF_UNIX,s.SOCK_DGRAM); o.bind("${path}"); print(flush=True); signal.pause()`;
    const log = spawn('python3', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    started.push(() => log.kill('SIGKILL'));
    await createInterface({ input: log.stdout })[Symbol.asyncIterator]().next();
    const program = await open('logger', { LOG: path });
    expect(verdictOn(program, 'logger')).toEqual([
      {
        grade: 'impossible',
        what: expect.stringMatching(/connected to a process outside the job/),
      },
    ]);
  });
});

describe('many sockets', () => {
  test('ten thousand take less than a second of processor time', async () => {
    const program = await open('many');
    const before = process.cpuUsage();
    const { ends } = program.read();
    const { user, system } = process.cpuUsage(before);
    const took = Math.round((user + system) / 1_000);
    process.stdout.write(`  ${ends.length} sockets: ${took} ms of processor time\n`);
    expect(ends.length).toBeGreaterThan(10_000);
    expect(took).toBeLessThan(1_000);
  });
});
