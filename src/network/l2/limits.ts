/** Every maximum of this room, each with its reason. Units are in the names. */
export const l2Limits = {
  /** A namespace with more devices than this is a router, not a job. */
  linksMax: 1_024,
  addressesMax: 16_384,
  /** Read back as one JSON text of at most `stdoutBytesMax`. */
  routesMax: 100_000,
  rulesMax: 32_768,
  neighboursMax: 100_000,
  nftTablesMax: 1_024,
  /** One table as text: a set of 100,000 addresses is about 2 MB. */
  nftTableCharsMax: 16 * 1024 * 1024,
  /** The kernel has about 55 net sysctls for each device and 300 others. */
  sysctlsMax: 100_000,
  sysctlCharsMax: 4_096,
  warningsMax: 10_000,
  /** IFALIASZ of include/uapi/linux/if.h, less its end. */
  aliasCharsMax: 255,
  nextHopsMax: 256,
} as const;
