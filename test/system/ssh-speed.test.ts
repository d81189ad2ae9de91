import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type AgentChannel,
  type Connection,
  connect,
  startAgent,
} from '../../src/transport/index.ts';
import { bundleAgent } from '../support/bundle-agent.ts';
import { startSshd, type TestSshd } from '../support/sshd.ts';

/** Prints what this machine does; asserts only that the work was done. */
const streamBytes = 512 * 1024 * 1024;
const chunk = Buffer.alloc(256 * 1024, 5);
const rounds = 5;

let sshd: TestSshd;
let agentFile: string;
let connection: Connection;
let agent: AgentChannel;
let received = 0;

beforeAll(async () => {
  sshd = await startSshd();
  agentFile = await bundleAgent('transport-agent.ts', join(sshd.dir, 'agent.cjs'));
  connection = await connect('lab', { configFile: sshd.configFile });
  agent = await open();
});

afterAll(async () => {
  await connection.close();
  await sshd.stop();
});

function open(): Promise<AgentChannel> {
  return startAgent(
    connection,
    { path: agentFile },
    {
      onStream: async (_name, source) => {
        for await (const bytes of source) received += bytes.byteLength;
      },
    },
  );
}

async function timeMs(act: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await act();
  return performance.now() - startMs;
}

function quantiles(samples: number[]): string {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number) => (sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(2);
  return `median ${at(0.5)} ms, p90 ${at(0.9)} ms, p99 ${at(0.99)} ms`;
}

function report(what: string, value: string): void {
  process.stdout.write(`  ${what}: ${value}\n`);
}

function rate(ms: number): string {
  return `${Math.round(streamBytes / 1_000 / ms)} MB/s`;
}

test('connecting and starting the agent', async () => {
  const connects: number[] = [];
  const warm: number[] = [];
  const cold: number[] = [];
  for (let round = 0; round < rounds; round++) {
    connects.push(
      await timeMs(async () => {
        const other = await connect('lab', { configFile: sshd.configFile });
        void other.close();
      }),
    );
    warm.push(await timeMs(async () => (await open()).peer.close()));
    execFileSync('rm', ['-r', join(sshd.home, '.cache', 'migrate')]);
    cold.push(await timeMs(async () => expect((await open()).wasUploaded).toBe(true)));
  }
  report('connect', quantiles(connects));
  report('agent, warm', quantiles(warm));
  report('agent, cold', quantiles(cold));
});

test('a call on an idle link', async () => {
  const samples: number[] = [];
  for (let i = 0; i < 1_000; i++) {
    samples.push(await timeMs(() => agent.peer.call('echo', { i })));
  }
  report('call, idle link', quantiles(samples));
});

test('a stream to the agent, and calls beside it', async () => {
  const samples: number[] = [];
  let isOver = false;
  const calling = (async () => {
    while (!isOver) {
      samples.push(await timeMs(() => agent.peer.call('echo', 1)));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  for (let round = 0; round < rounds; round++) {
    const ms = await timeMs(async () => {
      const sink = agent.peer.openSink('speed');
      for (let sent = 0; sent < streamBytes; sent += chunk.byteLength) await sink.write(chunk);
      await sink.end();
    });
    report('stream to the agent', rate(ms));
  }
  isOver = true;
  await calling;
  report('call beside a stream', quantiles(samples));
});

test('a stream from the agent', async () => {
  received = 0;
  const ms = await timeMs(() => agent.peer.call('sendBack', streamBytes));
  expect(received).toBe(streamBytes);
  report('stream from the agent', rate(ms));
});
