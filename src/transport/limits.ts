/** Every maximum of the transport, each with its reason. Units are in the names. */
export const transportLimits = {
  /** Each side says that it is alive this often, so an idle link is told from a dead one. */
  aliveEveryMs: 2_000,
  /** Nothing heard for this long: the link is cut. Five signs of life were missed. */
  deadAfterMs: 10_000,
  /** An answer that takes longer belongs into a call with a timeout of its own. */
  callTimeoutMs: 30_000,
  /** Calls of ours that wait for an answer at once; more is a leak of ours. */
  callsPendingMax: 1_024,
  /** Calls of the peer that run here at once. */
  callsServedMax: 256,
  /** Parameters of calls that run here, together: bounds what a peer makes us hold. */
  servedBytesMax: 64 * 1024 * 1024,
  /** Streams that a peer may have open at once. */
  streamsOpenMax: 64,
  /** Bytes of one stream that were sent and not yet consumed: the receiver's memory bound. */
  streamWindowBytes: 4 * 1024 * 1024,
  /** What holding one chunk costs besides its bytes: bounds how many tiny ones are held. */
  chunkOverheadBytes: 256,
  /** A smaller chunk is copied, so that it does not keep a whole read buffer alive. */
  chunkViewBytesMin: 16 * 1024,
  /** Credit goes back in steps of this size: small against the window, large against a frame. */
  creditStepBytes: 256 * 1024,
  /** Arrival is reported in steps of this size; it is what the pacer steers by. */
  seenStepBytes: 64 * 1024,
  /** The pacer's floor: two chunks, so that one is on the wire while the next is prepared. */
  inFlightBytesMin: 512 * 1024,
  /** The pacer's ceiling: twice the SSH channel's window, which bounds the link before we do. */
  inFlightBytesMax: 4 * 1024 * 1024,
  /** Queueing that the pacer allows on a link without latency: what a call has to wait behind. */
  queueDelayMs: 1,
  /** The shortest delay seen is forgotten after this long, because routes change. */
  shortestDelayKeptMs: 10_000,
  /** Bytes that wait in our writable; past it the peer does not read and is given up. */
  outboxBytesMax: 64 * 1024 * 1024,
  /** Method and stream names are chosen by us; they are words. */
  nameCharsMax: 128,
  /** Nesting of a message: a deep one is built to exhaust a stack. */
  messageDepthMax: 32,
  /** Log paths in an error record. */
  errorLogsMax: 32,
  /** Banners and shell noise that may precede the agent's magic. */
  noiseBytesMax: 64 * 1024,
  /** A hello is a few small fields. */
  helloBytesMax: 4 * 1024,
  /** Time for node to start on a loaded host and say hello. */
  helloTimeoutMs: 60_000,
  /** Time for `bye` to leave the machine before the link is torn down. */
  closeTimeoutMs: 2_000,
  /** How long the end of a link waits for the exit status that explains it. */
  endReasonTimeoutMs: 300,
  /** One connection attempt, unless ConnectTimeout says otherwise: name, TCP, keys, login. */
  connectTimeoutMs: 10_000,
  /** Jump hosts on the way, the target included: a longer chain is a loop in a config. */
  hopsMax: 8,
  /** SSH keepalive: three missed answers end the connection. */
  keepaliveEveryMs: 5_000,
  keepaliveMissedMax: 3,
  /** A known_hosts file; a larger one is not one. */
  knownHostsBytesMax: 16 * 1024 * 1024,
  /** Private key files are a few KiB. */
  identityBytesMax: 64 * 1024,
  /** Identity files tried; sshd gives up after six attempts anyway. */
  identitiesMax: 16,
  /** The agent is one bundled file of a few MB. */
  agentFileBytesMax: 64 * 1024 * 1024,
  /** Copying the agent over a slow link. */
  uploadTimeoutMs: 120_000,
  /** One line of outside text inside a message of ours. */
  lineCharsMax: 300,
  /** The agent's standard error that is kept for error messages. */
  stderrBytesMax: 32 * 1024,
} as const;

/** What a chunk takes from a stream's window, on both sides alike. */
export function chunkCost(payloadBytes: number): number {
  return payloadBytes + transportLimits.chunkOverheadBytes;
}
