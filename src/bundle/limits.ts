const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

/** Every maximum of the bundle format, each with its reason. Part of the format: version 1. */
export const bundleLimits = {
  /** The manifest is the largest header: 32,768 processes and 2 MiB of arguments fit. */
  headerBytesMax: 4 * MiB,
  /** Manifest headers nest four deep; a decoder that recurses must never see much more. */
  headerDepthMax: 8,
  /** Measured: files and tmpfs move at 680 MiB/s in pieces of this size, at 400 in 256 KiB. */
  chunkBytesMax: MiB,
  /** Larger than any machine's memory, any network state, any log tail; a caller may say less. */
  sectionBytesMax: { images: 16 * 1024 * GiB, network: 64 * MiB, files: 1024 * GiB },
  /** CRIU writes about eight files a process; each name is kept to refuse a second one. */
  tarEntriesMax: 262_144,
  /** What a plain ustar header holds, so that no extension header is ever needed. */
  tarNameCharsMax: 100,
  /** Smaller files in memory are read and written at once: a trip to a thread costs 0.1 ms each. */
  smallFileBytesMax: 64 * KiB,
  /** Frames and payloads under this size are gathered into one write to the sink. */
  gatheredPayloadBytesMax: 8 * KiB,
  /** Gathered bytes go out at the latest when they are this many. */
  gatheredBytesMax: 64 * KiB,
  /** Bad paths that an error message names; more would hide the first. */
  issuesReportedMax: 20,
} as const;
