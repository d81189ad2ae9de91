import { asMigrateError, MigrateError } from '../base/errors.ts';
import type { Peer } from '../transport/index.ts';
import type { Bandwidth } from './bandwidth.ts';

type Write = (bytes: Uint8Array) => Promise<void>;
/** Writes a stream's bytes. */
export type Feed = (write: Write) => Promise<void>;

/** Feeds a stream; as `sendStreams` otherwise. */
export function sendStream(
  peer: Peer,
  bandwidth: Bandwidth,
  name: string,
  feed: Feed,
): Promise<void> {
  return sendStreams([{ peer, name }], bandwidth, ([write]) => feed(write as Write));
}

/**
 * Feeds several streams; resolves when the other side has finished with all of them. The first one
 * ends when it has with the others. Throws TRANSFER_FAILED, or what the other side threw.
 */
export async function sendStreams(
  streams: readonly { readonly peer: Peer; readonly name: string }[],
  bandwidth: Bandwidth,
  feed: (writes: readonly Write[]) => Promise<void>,
): Promise<void> {
  const sinks = streams.map(({ peer, name }) => peer.openSink(name));
  const [first, ...others] = sinks;
  try {
    await feed(sinks.map((sink) => (bytes) => writeAll(sink, bandwidth, bytes)));
    await Promise.all(others.map((sink) => sink.end()));
    await first?.end();
  } catch (error) {
    for (const sink of sinks) sink.abort(error);
    throw asTransferError(error);
  }
}

/** A chunk of the transport is smaller than one of the bundle. */
const chunkBytes = 256 * 1024;

async function writeAll(
  sink: { write(chunk: Uint8Array): Promise<void> },
  bandwidth: Bandwidth,
  bytes: Uint8Array,
): Promise<void> {
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const chunk = bytes.subarray(at, at + chunkBytes);
    await bandwidth.take(chunk.length);
    await sink.write(chunk);
  }
}

/** A link that ends while the bundle travels is a failed transfer; the target's own errors stay. */
function asTransferError(error: unknown): MigrateError {
  const known = asMigrateError(error, 'TRANSFER_FAILED');
  if (known.code !== 'CONNECTION_LOST') return known;
  return new MigrateError('TRANSFER_FAILED', known.message, { ...known.details, cause: error });
}
