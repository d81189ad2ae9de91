import type { Encoding } from '../memory/codec.ts';
import type { Write } from '../memory/write-records.ts';
import type { Peer } from '../transport/index.ts';
import type { Bandwidth } from './bandwidth.ts';
import { type MemoryStreamName, memoryStream, probeStream } from './protocol.ts';
import { sendStreams } from './send-stream.ts';

/** The links that carry memory: the agent's own, and further ones beside it. */
export interface Lanes {
  readonly count: number;
  /** Opens links until there are so many, or one fails: then there are as many as there are. */
  open(count: number, openOne: () => Promise<Peer>): Promise<void>;
  /**
   * Feeds one stream for each link. The agent's own ends last, when the others have been read: what
   * its end means counts for all of them.
   */
  send(name: MemoryStreamName, encoding: Encoding, feed: LanesFeed): Promise<void>;
  /** Feeds bytes that are thrown away. */
  probe(feed: LanesFeed): Promise<void>;
  close(): Promise<void>;
}

export type LanesFeed = (writes: readonly Write[]) => Promise<void>;

export function createLanes(main: Peer, bandwidth: Bandwidth): Lanes {
  const peers = [main];

  const sendAll = (first: string, other: string, feed: LanesFeed): Promise<void> => {
    const streams = peers.map((peer) => ({ peer, name: peer === main ? first : other }));
    return sendStreams(streams, bandwidth, feed);
  };

  return {
    get count() {
      return peers.length;
    },
    async open(count, openOne) {
      const others = Array.from({ length: Math.max(0, count - peers.length) }, openOne);
      for (const opened of await Promise.allSettled(others)) {
        // A server that forwards no sockets leaves us the link that we have.
        if (opened.status === 'fulfilled') peers.push(opened.value);
      }
    },
    send: (name, encoding, feed) =>
      sendAll(`${name}.${encoding}`, `${memoryStream}.${encoding}`, feed),
    probe: (feed) => sendAll(probeStream, probeStream, feed),
    async close() {
      await Promise.all(peers.splice(1).map((peer) => peer.close()));
    },
  };
}
