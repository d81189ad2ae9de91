import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import {
  agentMagic,
  greetAgent,
  greetAsAgent,
  protocolVersion,
} from '../../../src/transport/handshake.ts';
import { transportLimits } from '../../../src/transport/limits.ts';
import { encodeFrame } from '../../../src/transport/message.ts';
import { createDuplexPair } from '../../../src/transport/peer-pair.ts';
import { serveAgent } from '../../../src/transport/serve-agent.ts';

test('two sides find each other through noise cut at any place', async () => {
  const [caller, agent] = createDuplexPair();
  agent.write('Welcome!\nLast login: yesterday\n');
  agent.write(agentMagic.subarray(0, 5));
  const [seen, heard] = await Promise.all([greetAgent(caller, caller), greetAsAgent(agent, agent)]);
  expect(seen).toEqual({ version: protocolVersion, pid: process.pid });
  expect(heard).toEqual(seen);
});

test('the caller says nothing before the agent has spoken', async () => {
  const [fromAgent, toAgent] = [new PassThrough(), new PassThrough()];
  const greeting = greetAgent(fromAgent, toAgent);
  await new Promise((resolve) => setImmediate(resolve));
  expect(toAgent.readableLength).toBe(0);
  fromAgent.write(agentMagic);
  fromAgent.write(encodeFrame({ t: 'hello', v: protocolVersion, pid: 1 }));
  fromAgent.write('rest');
  await greeting;
  expect(String(fromAgent.read())).toBe('rest');
});

test('another version is refused, by the agent too', async () => {
  const [fromAgent, toAgent] = [new PassThrough(), new PassThrough()];
  fromAgent.write(agentMagic);
  const stranger = encodeFrame({ t: 'hello', v: protocolVersion + 1, pid: 1 });
  fromAgent.write(stranger);
  await expect(greetAgent(fromAgent, toAgent)).rejects.toMatchObject({ code: 'AGENT_FAILED' });
  const stdin = new PassThrough();
  stdin.write(stranger);
  const end = await serveAgent(stdin, new PassThrough(), () => ({}));
  expect(end.error.code).toBe('AGENT_FAILED');
});

test('noise without end, a hello that is none, and silence are told apart', async () => {
  const noise = new PassThrough();
  noise.write(Buffer.alloc(transportLimits.noiseBytesMax + 1, 'x'));
  await expect(greetAgent(noise, new PassThrough())).rejects.toMatchObject({
    code: 'AGENT_FAILED',
    message: expect.stringContaining('no agent among them'),
  });
  const rude = new PassThrough();
  rude.write(Buffer.concat([agentMagic, encodeFrame({ t: 'bye' })]));
  await expect(greetAgent(rude, new PassThrough())).rejects.toMatchObject({ code: 'PROTOCOL' });
  const gone = new PassThrough();
  gone.end('bash: node: not found\n');
  await expect(greetAgent(gone, new PassThrough())).rejects.toMatchObject({
    code: 'AGENT_FAILED',
  });
});
