import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { limits } from '../../../src/base/limits.ts';
import { createFrameReader, type Frame } from '../../../src/transport/frame-reader.ts';
import { transportLimits } from '../../../src/transport/limits.ts';
import { encodeFrame, type Message } from '../../../src/transport/message.ts';
import { packValue, unpackValue } from '../../../src/transport/msgpack.ts';

function read(pieces: readonly Uint8Array[]): Frame[] {
  const frames: Frame[] = [];
  const reader = createFrameReader((frame) => frames.push(frame));
  for (const piece of pieces) reader.push(piece);
  return frames;
}

function framed(header: Uint8Array, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const prefix = Buffer.alloc(8);
  prefix.writeUInt32LE(header.byteLength, 0);
  prefix.writeUInt32LE(payload.byteLength, 4);
  return Buffer.concat([prefix, header, payload]);
}

const plain = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    // msgpackr writes whole numbers as integers, which have no negative zero.
    fc.double({ noNaN: true }).map((number) => (number === 0 ? 0 : number)),
    fc.string({ maxLength: 300 }),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(
      fc.string({ minLength: 1 }).filter((key) => key !== '__proto__'),
      tie('value'),
      {
        noNullPrototype: true,
      },
    ),
  ),
})).value;

test('plain values come back as they were', () => {
  fc.assert(
    fc.property(plain, (value) => {
      expect(unpackValue(packValue(value))).toEqual(value);
    }),
  );
});

test('frames come out whole however the bytes are cut', () => {
  const data = fc.record({
    message: fc.constant<Message>({ t: 'data', s: 1 }),
    payload: fc.uint8Array({ minLength: 1, maxLength: 2 * transportLimits.chunkViewBytesMin }),
  });
  const call = fc.record({
    message: fc.record({ t: fc.constant('note' as const), m: fc.constant('m'), p: plain }),
    payload: fc.constant(new Uint8Array(0)),
  });
  fc.assert(
    fc.property(
      fc.array(fc.oneof(data, call), { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 9_000 }), { minLength: 1 }),
      (sent, cuts) => {
        const bytes = Buffer.concat(
          sent.flatMap(({ message, payload }) => [
            encodeFrame(message, payload.byteLength),
            payload,
          ]),
        );
        const pieces: Buffer[] = [];
        for (let at = 0, cut = 0; at < bytes.byteLength; cut++) {
          const end = at + (cuts[cut % cuts.length] ?? 1);
          pieces.push(bytes.subarray(at, end));
          at = end;
        }
        const frames = read(pieces);
        expect(frames.map((frame) => frame.message)).toEqual(sent.map((one) => one.message));
        for (const [index, frame] of frames.entries()) {
          expect(Buffer.compare(frame.payload, sent[index]?.payload ?? frame.payload)).toBe(0);
        }
      },
    ),
    { numRuns: 50 },
  );
});

describe('what a peer must not send is PROTOCOL', () => {
  const bad: Record<string, Buffer> = {
    'an empty header': framed(Buffer.alloc(0)),
    'a header over the limit': Buffer.from('ffffffff00000000', 'hex'),
    'a payload over the limit': Buffer.from('01000000ffffffff', 'hex'),
    'a payload with a message other than data': framed(packValue({ t: 'alive' }), Buffer.alloc(3)),
    'data without a payload': framed(packValue({ t: 'data', s: 1 })),
    'something that is no map': framed(packValue([1])),
    'a kind that does not exist': framed(packValue({ t: 'launch' })),
    'a kind that every object inherits': framed(packValue({ t: 'constructor' })),
    'a field of the wrong type': framed(packValue({ t: 'call', i: 'x', m: 'm' })),
    'a negative id': framed(packValue({ t: 'end', s: -1 })),
    'a name without end': framed(packValue({ t: 'note', m: 'x'.repeat(1_000) })),
    'an error that is none': framed(packValue({ t: 'err', i: 1, e: { code: 5, message: 'x' } })),
    'bytes after the map': framed(Buffer.concat([packValue({ t: 'bye' }), Buffer.from([0xc0])])),
    'a map that is cut off': framed(packValue({ t: 'bye' }).subarray(0, 4)),
    'a record definition (0x72)': framed(Buffer.from('d4724091a161', 'hex')),
    'an extension': framed(Buffer.from('81a174c7010500', 'hex')),
    'an array that claims four thousand million items': framed(Buffer.from('ddffffffff', 'hex')),
    'nesting without end': framed(Buffer.alloc(10_000, 0x91)),
    'a byte that is not assigned': framed(Buffer.from('c1', 'hex')),
  };
  test.each(Object.entries(bad))('%s', (_name, bytes) => {
    expect(() => read([bytes])).toThrow(expect.objectContaining({ code: 'PROTOCOL' }));
  });
});

test('garbage is PROTOCOL or waits for more, and nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (header) => {
      try {
        read([framed(Buffer.from(header))]);
      } catch (error) {
        expect(error).toMatchObject({ code: 'PROTOCOL' });
      }
    }),
    { numRuns: 2_000 },
  );
});

test('a message of ours over the limit is refused before it is sent', () => {
  const large = { t: 'note', m: 'm', p: Buffer.alloc(limits.messageBytesMax) } as const;
  expect(() => encodeFrame(large)).toThrow(expect.objectContaining({ code: 'PROTOCOL' }));
});
