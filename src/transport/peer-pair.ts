import { Duplex } from 'node:stream';
import { createPeer, type Peer, type PeerHandlers } from './peer.ts';

type Handlers = PeerHandlers | ((peer: Peer) => PeerHandlers);

/** Two peers in this process, joined in memory: for tests, simulations and moves to this host. */
export function createPeerPair(source: Handlers, target: Handlers): { source: Peer; target: Peer } {
  const [left, right] = createDuplexPair();
  return {
    source: createPeer(left, left, source, { remoteSide: 'target' }),
    target: createPeer(right, right, target, { remoteSide: 'source' }),
  };
}

/** Two streams; what is written to one is read from the other. Bytes are copied, as a wire does. */
export function createDuplexPair(): [Duplex, Duplex] {
  const left: Duplex = createEnd(() => right);
  const right: Duplex = createEnd(() => left);
  return [left, right];
}

function createEnd(other: () => Duplex): Duplex {
  let resume: (() => void) | undefined;
  const end = new Duplex({
    allowHalfOpen: true,
    read() {
      end.emit('wanted');
    },
    write(bytes: Uint8Array, _encoding, callback) {
      const isRoomLeft = other().push(Buffer.from(bytes));
      if (isRoomLeft) setImmediate(callback);
      else resume = callback;
    },
    final(callback) {
      other().push(null);
      callback();
    },
    destroy(error, callback) {
      const peer = other();
      if (!peer.readableEnded && !peer.destroyed) peer.push(null);
      callback(error);
    },
  });
  setImmediate(() =>
    other().on('wanted', () => {
      const callback = resume;
      resume = undefined;
      callback?.();
    }),
  );
  return end;
}
