/** Every maximum of the program, each with its reason. Units are in the names. */
export const limits = {
  /** An error message is read on a terminal; more belongs into a log file. */
  messageCharsMax: 2_000,
  /** Standard error kept of a program that we ran. */
  stderrBytesMax: 32 * 1024,
  /** Standard output of a tool such as `ip -j`: 64 MiB holds a hundred thousand routes. */
  stdoutBytesMax: 64 * 1024 * 1024,
  /** A short-lived tool (ip, nft, tc) that runs longer than this hangs. */
  toolTimeoutMs: 10_000,
  /** One message of the agent's protocol; page data travels in stream chunks instead. */
  messageBytesMax: 16 * 1024 * 1024,
  /** One chunk of a stream: large enough to amortise a frame, small enough to bound memory. */
  chunkBytesMax: 256 * 1024,
} as const;
