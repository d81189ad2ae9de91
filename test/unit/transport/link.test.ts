import { PassThrough } from 'node:stream';
import { afterEach, expect, test, vi } from 'vitest';
import { transportLimits } from '../../../src/transport/limits.ts';
import { encodeFrame, type Message } from '../../../src/transport/message.ts';
import { createPeer, type Peer, type PeerHandlers } from '../../../src/transport/peer.ts';

afterEach(() => {
  vi.useRealTimers();
});

/** A peer whose other side is written by hand. */
function against(handlers: PeerHandlers = {}) {
  const toPeer = new PassThrough({ highWaterMark: 1 << 26 });
  const fromPeer = new PassThrough({ highWaterMark: 1 << 26 });
  const peer: Peer = createPeer(toPeer, fromPeer, handlers);
  const say = (message: Message, payload?: Buffer) => {
    toPeer.write(encodeFrame(message, payload?.byteLength ?? 0));
    if (payload !== undefined) toPeer.write(payload);
  };
  return { peer, toPeer, fromPeer, say };
}

const violations: Record<string, Message[]> = {
  'an answer to nothing': [{ t: 'ok', i: 1 }],
  'a second hello': [{ t: 'hello', v: 1, pid: 1 }],
  'credit for a stream that was never opened': [{ t: 'credit', s: 1, b: 1 }],
  'an end of a stream that was never opened': [{ t: 'end', s: 1 }],
  'a stream number out of order': [{ t: 'open', s: 7, n: 'x' }],
  'arrival of bytes that were never sent': [{ t: 'seen', b: 1 }],
};

test.each(Object.entries(violations))('%s ends the link as PROTOCOL', async (_name, messages) => {
  const { peer, say, toPeer } = against();
  for (const message of messages) say(message);
  expect(await peer.closed).toMatchObject({ how: 'protocol', error: { code: 'PROTOCOL' } });
  expect(toPeer.destroyed).toBe(true);
});

test('a sender that ignores the window is cut off before it fills our memory', async () => {
  const { peer, say } = against({ onStream: () => new Promise(() => undefined) });
  say({ t: 'open', s: 1, n: 'flood' });
  for (let i = 0; i < 17; i++) say({ t: 'data', s: 1 }, Buffer.alloc(256 * 1024));
  expect(await peer.closed).toMatchObject({ how: 'protocol' });
});

test('tiny chunks count for more than their bytes', async () => {
  const { peer, say } = against({ onStream: () => new Promise(() => undefined) });
  say({ t: 'open', s: 1, n: 'flood' });
  const { streamWindowBytes, chunkOverheadBytes } = transportLimits;
  const chunksMax = Math.ceil(streamWindowBytes / chunkOverheadBytes);
  for (let i = 0; i < chunksMax; i++) say({ t: 'data', s: 1 }, Buffer.alloc(1));
  expect(await peer.closed).toMatchObject({ how: 'protocol' });
});

test('too many streams and too many calls end the link', async () => {
  const streams = against({ onStream: () => new Promise(() => undefined) });
  for (let s = 1; s <= transportLimits.streamsOpenMax + 1; s++) {
    streams.say({ t: 'open', s, n: 'x' });
  }
  expect((await streams.peer.closed).how).toBe('protocol');
  const calls = against({ calls: { never: () => new Promise(() => undefined) } });
  for (let i = 1; i <= transportLimits.callsServedMax + 1; i++) {
    calls.say({ t: 'call', i, m: 'never' });
  }
  expect((await calls.peer.closed).how).toBe('protocol');
});

test('bytes that end without a goodbye lose the connection', async () => {
  const { peer, toPeer } = against();
  const call = expect(peer.call('x')).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  toPeer.end();
  expect(await peer.closed).toMatchObject({ how: 'ended' });
  await call;
});

test('a broken stream loses the connection', async () => {
  const { peer, fromPeer } = against();
  fromPeer.destroy(new Error('EPIPE'));
  const end = await peer.closed;
  expect(end).toMatchObject({ how: 'lost', error: { code: 'CONNECTION_LOST', message: 'EPIPE' } });
});

test('a silent link dies after the named time, one with signs of life does not', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  const silent = against();
  const living = against();
  let ended = 0;
  void silent.peer.closed.then(() => ended++);
  void living.peer.closed.then(() => ended--);
  for (let ms = 0; ms <= transportLimits.deadAfterMs + 3_000; ms += 1_000) {
    vi.advanceTimersByTime(1_000);
    living.say({ t: 'alive' });
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await silent.peer.closed).toMatchObject({ how: 'lost' });
  expect(ended).toBe(1);
  expect(silent.fromPeer.readableLength).toBeGreaterThan(0);
});

test('a process that stood still does not blame the other side', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  const { peer, say } = against();
  let isEnded = false;
  void peer.closed.then(() => {
    isEnded = true;
  });
  const clock = performance.now.bind(performance);
  const jump = vi.spyOn(performance, 'now').mockImplementation(() => clock() + 60_000);
  vi.advanceTimersByTime(transportLimits.aliveEveryMs);
  say({ t: 'alive' });
  vi.advanceTimersByTime(transportLimits.aliveEveryMs);
  await new Promise((resolve) => setImmediate(resolve));
  expect(isEnded).toBe(false);
  jump.mockRestore();
});

test('a goodbye closes, and what comes after it is not read', async () => {
  const notes: unknown[] = [];
  const { peer, say } = against({ notes: { n: (value) => notes.push(value) } });
  say({ t: 'note', m: 'n', p: 1 });
  say({ t: 'bye' });
  say({ t: 'note', m: 'n', p: 2 });
  expect((await peer.closed).how).toBe('closed');
  await new Promise((resolve) => setImmediate(resolve));
  expect(notes).toEqual([1]);
});
