const entries = 256;
const shiftMax = 31;
/** tc(8) takes the smallest cell with which the average is gone after less than so many cells. */
const cellsMax = 512;

/**
 * The table of RED that the kernel wants and does not print (TCA_RED_STAB): by how many bits the
 * average queue shrinks after so many cells of idle time. tc(8) computes it from the average
 * packet and the bandwidth that a person gave; of these only the size of a cell is left, which
 * leaves a factor of two open: the average is gone after 256 to 512 cells. The middle of these is
 * taken, so a queue that was idle is remembered up to 1.4 times as long, or as short, as before.
 */
export function idleDamping(): Buffer {
  const perCell = shiftMax / (cellsMax / Math.SQRT2);
  const table = Buffer.alloc(entries);
  for (let at = 1; at < entries; at += 1) {
    table.writeUInt8(Math.min(Math.floor(at * perCell), shiftMax), at);
  }
  table.writeUInt8(shiftMax, entries - 1);
  return table;
}
