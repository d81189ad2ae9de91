import { createServer, type Socket } from 'node:net';
import { within } from '../base/deadline.ts';
import type { Connection } from './connect.ts';
import { greetAgent } from './handshake.ts';
import { createPeer, type Peer, type PeerHandlers } from './peer.ts';
import { serveAgent } from './serve-agent.ts';

/**
 * Further links to an agent that runs already, each through an SSH channel of its own: one channel
 * has at most 2 MiB on its way, which a long round trip makes the limit of a link.
 */
export interface Lanes {
  /** Serves no more, and ends those that are open. */
  close(): void;
}

/** Waits for lanes on a unix socket, in a directory that nobody else may enter. */
export function serveLanes(path: string, handlers: PeerHandlers): Promise<Lanes> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    void serveAgent(socket, socket, () => handlers).then(() => {
      socket.destroy();
      open.delete(socket);
    });
  });
  server.maxConnections = lanesMax;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () =>
      resolve({
        close() {
          server.close();
          for (const socket of open) socket.destroy();
        },
      }),
    );
  });
}

/** Opens a lane to the agent that serves them at `path`. Throws CONNECTION_LOST, AGENT_FAILED. */
export async function openLane(connection: Connection, path: string): Promise<Peer> {
  const channel = await connection.openSocket(path);
  try {
    const greeting = greetAgent(channel, channel);
    await within(greeting, greetTimeoutMs, 'AGENT_FAILED', 'the agent did not greet on a lane');
    return createPeer(channel, channel, {});
  } catch (error) {
    channel.destroy();
    throw error;
  }
}

/** The agent runs already: nothing has to start. */
const greetTimeoutMs = 5_000;

/** More do not help: by then the buffers of the one TCP connection are the limit. */
export const lanesMax = 8;
