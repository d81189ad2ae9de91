import type { Readable, Writable } from 'node:stream';
import { asMigrateError } from '../base/errors.ts';
import { greetAsAgent } from './handshake.ts';
import type { LinkEnd } from './link.ts';
import { createPeer, type Peer, type PeerHandlers } from './peer.ts';

/**
 * The agent's side of a connection: writes magic and hello, then serves until the caller says
 * goodbye or its bytes end, and resolves with how. Never rejects. Nothing else may write to
 * `stdout`: log to standard error, which the caller keeps for error messages.
 */
export async function serveAgent(
  stdin: Readable,
  stdout: Writable,
  makeHandlers: (peer: Peer) => PeerHandlers,
): Promise<LinkEnd> {
  // A caller that is gone breaks the pipe; the link reports it, once it is there.
  stdout.on('error', () => undefined);
  try {
    await greetAsAgent(stdin, stdout);
  } catch (error) {
    return { how: 'protocol', error: asMigrateError(error) };
  }
  return createPeer(stdin, stdout, makeHandlers, { remoteSide: 'source' }).closed;
}
