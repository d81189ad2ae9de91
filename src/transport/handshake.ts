import type { Readable, Writable } from 'node:stream';
import { MigrateError } from '../base/errors.ts';
import { checkedLengths } from './frame-reader.ts';
import { transportLimits } from './limits.ts';
import { decodeMessage, encodeFrame, prefixBytes } from './message.ts';

/** Raised by every change that an older side would misunderstand; the two sides must be alike. */
export const protocolVersion = 1;

/**
 * What the agent writes before anything else. Not printable, so no login banner holds it, and with
 * both line ends, so a terminal that rewrites them is noticed at once.
 */
export const agentMagic = Buffer.from('\u0000migrate-agent\r\n\u001a\n', 'latin1');

export interface Hello {
  readonly version: number;
  readonly pid: number;
}

/** The agent's half: magic and hello go out, the caller's hello comes in. Throws AGENT_FAILED. */
export async function greetAsAgent(readable: Readable, writable: Writable): Promise<Hello> {
  writable.write(Buffer.concat([agentMagic, helloFrame()]));
  return readHello(readable, Buffer.alloc(0));
}

/**
 * The caller's half: whatever comes before the magic is skipped. Nothing is written before the
 * agent has spoken, so a shell's start-up files cannot eat it. Throws AGENT_FAILED, PROTOCOL.
 */
export async function greetAgent(readable: Readable, writable: Writable): Promise<Hello> {
  const hello = await readHello(readable, agentMagic);
  writable.write(helloFrame());
  return hello;
}

function helloFrame(): Buffer {
  return encodeFrame({ t: 'hello', v: protocolVersion, pid: process.pid });
}

/** Collects bytes until a whole hello is there; what follows it goes back into the stream. */
function readHello(readable: Readable, magic: Buffer): Promise<Hello> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const settle = (act: () => void) => {
      clearTimeout(timer);
      readable.off('readable', onReadable).off('end', onEnd).off('close', onEnd);
      readable.off('error', onEnd);
      act();
    };
    const failWith = (error: unknown) => settle(() => reject(error));
    const onEnd = () => failWith(new MigrateError('AGENT_FAILED', 'no agent answered'));
    const onReadable = () => {
      for (let next = readable.read(); next !== null; next = readable.read()) {
        bytes = Buffer.concat([bytes, next as Buffer]);
        try {
          const found = findHello(bytes, magic);
          if (found === undefined) continue;
          return settle(() => {
            if (found.rest.byteLength > 0) readable.unshift(found.rest);
            resolve(found.hello);
          });
        } catch (error) {
          return failWith(error);
        }
      }
    };
    const timer = setTimeout(() => {
      const waited = `${transportLimits.helloTimeoutMs} ms`;
      failWith(new MigrateError('AGENT_FAILED', `no agent answered within ${waited}`));
    }, transportLimits.helloTimeoutMs);
    readable.on('readable', onReadable).on('end', onEnd).on('close', onEnd).on('error', onEnd);
  });
}

/** Undefined while more bytes are needed. */
function findHello(bytes: Buffer, magic: Buffer): { hello: Hello; rest: Buffer } | undefined {
  const magicAt = bytes.indexOf(magic);
  const noiseBytes = magicAt < 0 ? bytes.byteLength : magicAt;
  if (noiseBytes > transportLimits.noiseBytesMax) {
    throw new MigrateError('AGENT_FAILED', `${noiseBytes} bytes came and no agent among them`, {
      hint: 'A start-up file of the remote shell may print without end.',
    });
  }
  const frame = bytes.subarray(magicAt + magic.byteLength);
  if (magicAt < 0 || frame.byteLength < prefixBytes) return undefined;
  const { headerBytes, payloadBytes } = checkedLengths(frame);
  if (headerBytes > transportLimits.helloBytesMax || payloadBytes > 0) {
    throw new MigrateError('PROTOCOL', 'the other side did not begin with a hello');
  }
  const end = prefixBytes + headerBytes;
  if (frame.byteLength < end) return undefined;
  return { hello: checkedHello(frame.subarray(prefixBytes, end)), rest: frame.subarray(end) };
}

function checkedHello(header: Buffer): Hello {
  const message = decodeMessage(header);
  if (message.t !== 'hello') {
    throw new MigrateError('PROTOCOL', `the other side began with ${message.t}, not with hello`);
  }
  if (message.v !== protocolVersion) {
    const versions = `version ${message.v}, this side version ${protocolVersion}`;
    throw new MigrateError('AGENT_FAILED', `the other side speaks protocol ${versions}`);
  }
  return { version: message.v, pid: message.pid };
}
