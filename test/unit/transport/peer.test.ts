import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { MigrateError } from '../../../src/base/errors.ts';
import { limits } from '../../../src/base/limits.ts';
import { transportLimits } from '../../../src/transport/limits.ts';
import type { Peer, PeerHandlers } from '../../../src/transport/peer.ts';
import { createPeerPair } from '../../../src/transport/peer-pair.ts';

const open: Peer[] = [];

function pair(source: PeerHandlers, target: PeerHandlers) {
  const peers = createPeerPair(source, target);
  open.push(peers.source, peers.target);
  return peers;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((peer) => peer.close()));
});

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe('calls', () => {
  test('go both ways and carry plain values', async () => {
    const echo = { calls: { echo: async (params: unknown) => params } };
    const { source, target } = pair(echo, echo);
    const value = { a: [1, -2.5, 2 ** 40, null, true], b: 'ü', c: Buffer.from('xyz') };
    expect(await source.call('echo', value)).toEqual(value);
    expect(await target.call('echo', 'back')).toBe('back');
    expect(await source.call('echo')).toBe(undefined);
    expect(await source.call('echo', { kept: 1, left: undefined })).toEqual({ kept: 1 });
  });

  test('answer in any order', async () => {
    const waits = {
      calls: { wait: (ms: unknown) => new Promise((r) => setTimeout(r, Number(ms), ms)) },
    };
    const { source } = pair({}, waits);
    const order: unknown[] = [];
    await Promise.all([30, 1, 15].map(async (ms) => order.push(await source.call('wait', ms))));
    expect(order).toEqual([1, 15, 30]);
  });

  test('bring errors back with their code, hint and side', async () => {
    const { source } = pair(
      {},
      {
        calls: {
          fail: async () => {
            throw new MigrateError('DUMP_FAILED', 'no', {
              hint: 'try',
              phase: 'freeze',
              logs: ['x'],
            });
          },
          crash: async () => {
            throw new TypeError('oops');
          },
        },
      },
    );
    await expect(source.call('fail')).rejects.toMatchObject({
      code: 'DUMP_FAILED',
      message: 'no',
      details: { side: 'target', hint: 'try', phase: 'freeze', logs: ['x'] },
    });
    await expect(source.call('crash')).rejects.toMatchObject({ code: 'INTERNAL', message: 'oops' });
    await expect(source.call('toString')).rejects.toMatchObject({ code: 'PROTOCOL' });
  });

  test('time out, and a late answer does no harm', async () => {
    const { source } = pair(
      {},
      { calls: { slow: () => new Promise((r) => setTimeout(r, 40)), ok: async () => 1 } },
    );
    const slow = source.call('slow', null, { timeoutMs: 5, timeoutCode: 'RESTORE_FAILED' });
    await expect(slow).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
    await new Promise((r) => setTimeout(r, 60));
    expect(await source.call('ok')).toBe(1);
  });

  test('that cannot be sent fail alone', async () => {
    const { source } = pair({}, { calls: { ok: async () => 1, date: async () => new Date() } });
    const tooLarge = source.call('ok', Buffer.alloc(limits.messageBytesMax + 1));
    await expect(tooLarge).rejects.toMatchObject({ code: 'PROTOCOL' });
    await expect(source.call('ok', new Date())).rejects.toMatchObject({ code: 'INTERNAL' });
    await expect(source.call('date')).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await source.call('ok')).toBe(1);
  });

  test('all fail when the other side goes, with how it went', async () => {
    const { source, target } = pair({}, { calls: { never: () => new Promise(() => undefined) } });
    const pending = source.call('never');
    const rejected = expect(pending).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    await target.close();
    await rejected;
    expect((await source.closed).how).toBe('closed');
    await expect(source.call('never')).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    await expect(source.openSink('x').write(Buffer.alloc(1))).rejects.toMatchObject({
      code: 'CONNECTION_LOST',
    });
    source.notify('anything');
  });
});

test('notifications keep their order, and their place among calls', async () => {
  const seen: unknown[] = [];
  const { source } = pair(
    {},
    {
      notes: { n: (value) => seen.push(value) },
      calls: { read: async () => [...seen] },
    },
  );
  source.notify('n', 1);
  source.notify('unheard-of', 1);
  source.notify('n', 2);
  const read = source.call('read');
  source.notify('n', 3);
  expect(await read).toEqual([1, 2]);
});

describe('streams', () => {
  test('arrive whole and in order; end() waits for the consumer', async () => {
    let received: Buffer = Buffer.alloc(0);
    const { source } = pair(
      {},
      {
        onStream: async (name, chunks) => {
          expect(name).toBe('memory');
          const bytes = await collect(chunks);
          await new Promise((r) => setTimeout(r, 20));
          received = bytes;
        },
      },
    );
    const sent = Buffer.alloc(3 * limits.chunkBytesMax + 17, 'abcdefg');
    const sink = source.openSink('memory');
    void sink.write(sent);
    void sink.write(Buffer.from('tail'));
    await sink.end();
    expect(received.equals(Buffer.concat([sent, Buffer.from('tail')]))).toBe(true);
  });

  test('a consumer that does not read stops the writer at the window', async () => {
    let letGo: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const { source } = pair(
      {},
      {
        onStream: async (_name, chunks) => {
          await gate;
          await collect(chunks);
        },
        calls: { ping: async () => 'pong' },
      },
    );
    const sink = source.openSink('held');
    let written = 0;
    const writing = (async () => {
      for (let i = 0; i < 40; i++) {
        await sink.write(Buffer.alloc(limits.chunkBytesMax));
        written += limits.chunkBytesMax;
      }
      await sink.end();
    })();
    await new Promise((r) => setTimeout(r, 100));
    expect(written).toBeGreaterThan(transportLimits.streamWindowBytes / 2);
    expect(written).toBeLessThanOrEqual(transportLimits.streamWindowBytes);
    expect(await source.call('ping')).toBe('pong');
    letGo();
    await writing;
    expect(written).toBe(40 * limits.chunkBytesMax);
  });

  test('one that nobody reads does not hold up another', async () => {
    const sizes = new Map<string, number>();
    const { source } = pair(
      {},
      {
        onStream: async (name, chunks) => {
          if (name === 'stuck') await new Promise(() => undefined);
          sizes.set(name, (await collect(chunks)).byteLength);
        },
      },
    );
    const stuck = source.openSink('stuck');
    stuck.write(Buffer.alloc(8 * 1024 * 1024)).catch(() => undefined);
    const free = source.openSink('free');
    await free.write(Buffer.alloc(16 * 1024 * 1024));
    await free.end();
    expect(sizes.get('free')).toBe(16 * 1024 * 1024);
    stuck.abort(new MigrateError('INTERRUPTED', 'enough'));
  });

  test('the consumer sees why the writer gave up, the writer why the consumer did', async () => {
    let seen: unknown;
    const { source } = pair(
      {},
      {
        onStream: async (name, chunks) => {
          if (name === 'fails') throw new MigrateError('BUNDLE_CORRUPT', 'bad digest');
          if (name === 'leaves') {
            for await (const _ of chunks) return;
          }
          await collect(chunks).catch((error) => {
            seen = error;
            throw error;
          });
        },
      },
    );
    const aborted = source.openSink('aborted');
    await aborted.write(Buffer.from('x'));
    aborted.abort(new MigrateError('INTERRUPTED', 'ctrl-c'));
    await expect(aborted.end()).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await expect
      .poll(() => seen)
      .toMatchObject({ code: 'INTERRUPTED', details: { side: 'source' } });
    const fails = source.openSink('fails');
    await expect(fails.end()).rejects.toMatchObject({
      code: 'BUNDLE_CORRUPT',
      details: { side: 'target' },
    });
    await expect(fails.write(Buffer.from('x'))).rejects.toMatchObject({ code: 'BUNDLE_CORRUPT' });
    const leaves = source.openSink('leaves');
    await leaves.write(Buffer.from('x'));
    await expect(leaves.end()).rejects.toMatchObject({ code: 'TRANSFER_FAILED' });
  });

  test('fail on both ends when the link goes', async () => {
    let seen: unknown;
    const { source, target } = pair(
      {},
      {
        onStream: async (_name, chunks) => {
          await collect(chunks).catch((error) => {
            seen = error;
          });
        },
      },
    );
    const sink = source.openSink('cut');
    await sink.write(Buffer.from('x'));
    const ending = expect(sink.end()).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    await source.close();
    await ending;
    await expect.poll(() => seen).toMatchObject({ code: 'CONNECTION_LOST' });
    expect((await target.closed).how).toBe('closed');
  });
});

type Step =
  | { kind: 'call'; value: string; from: 0 | 1 }
  | { kind: 'note'; value: number; from: 0 | 1 }
  | { kind: 'stream'; sizes: number[]; from: 0 | 1 };

const from = fc.constantFrom<0 | 1>(0, 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('call' as const), value: fc.string(), from }),
  fc.record({ kind: fc.constant('note' as const), value: fc.nat(), from }),
  fc.record({
    kind: fc.constant('stream' as const),
    sizes: fc.array(fc.nat(600_000), { maxLength: 4 }),
    from,
  }),
);

test('any mixture of calls, notes and streams in both directions comes out right', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const notes: [number[], number[]] = [[], []];
      const streams = new Map<string, Buffer>();
      const handlers = (side: 0 | 1): PeerHandlers => ({
        calls: { echo: async (value) => value },
        notes: { n: (value) => notes[side].push(Number(value)) },
        onStream: async (name, chunks) => void streams.set(`${side}${name}`, await collect(chunks)),
      });
      const peers = createPeerPair(handlers(0), handlers(1));
      const ends: [Peer, Peer] = [peers.source, peers.target];
      await Promise.all(
        steps.map(async (one, index) => {
          const peer = ends[one.from];
          if (one.kind === 'call') expect(await peer.call('echo', one.value)).toBe(one.value);
          else if (one.kind === 'note') peer.notify('n', one.value);
          else {
            const sink = peer.openSink(`s${index}`);
            const chunks = one.sizes.map((size) => Buffer.alloc(size, `${index}-${size}`));
            for (const chunk of chunks) await sink.write(chunk);
            await sink.end();
            const got = streams.get(`${1 - one.from}s${index}`);
            expect(got?.equals(Buffer.concat(chunks))).toBe(true);
          }
        }),
      );
      await Promise.all(ends.map((peer) => peer.call('echo', 'after all notes')));
      for (const side of [0, 1] as const) {
        const sent = steps.filter((one) => one.kind === 'note' && one.from !== side);
        expect(notes[side]).toEqual(sent.map((one) => (one.kind === 'note' ? one.value : 0)));
      }
      await Promise.all(ends.map((peer) => peer.close()));
    }),
    { numRuns: 60 },
  );
});
