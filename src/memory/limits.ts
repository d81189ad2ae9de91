/** Every maximum of the memory engine, each with its reason. */
export const memoryLimits = {
  /** x86-64's page, which is what CRIU counts in as well. */
  pageBytes: 4096,
  /** Page tables are kept in pieces of this many pages: 2 MiB, which a program maps at a time. */
  regionPages: 512,
  /** Read from a process at once, and written as one piece: four chunks of the transport. */
  pieceBytes: 1024 * 1024,
  /** Pieces under way at once: one is read while another is hashed and a third one travels. */
  piecesMax: 4,
  /** And for each further stream: one travels while the next is made. */
  piecesPerLane: 2,
  /** Areas that one call of PAGEMAP_SCAN returns; it is called again for more. */
  scanRegionsMax: 4096,
  /** A job has at most as many processes as Linux has (PID_MAX_LIMIT). */
  pidMax: 4_194_304,
  /** Where an x86-64 program's addresses end, with five-level page tables never asked for. */
  addressMax: 2 ** 47,
  /** Pages of one record, so that a receiver knows what it must hold. */
  recordPagesMax: 256,
} as const;
