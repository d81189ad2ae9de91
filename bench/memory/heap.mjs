/**
 * A job to be moved: a process of Node's whose heap holds records of numbers, lists and strings, of
 * which it changes a part each second, one after the other as they lie in memory. It calls itself
 * bench-full once it has grown by as much as it was asked to.
 *
 * usage: node heap.mjs MIB PERCENT_PER_SECOND
 */
const [mib = 64, percent = 0] = process.argv.slice(2).map(Number);
const tickMs = 20;
const recordsAtOnce = 2_000;
const words = 'address bucket connection error field host key memory page request user'.split(' ');

// As process 1 of its PID namespace it would not hear what it has no handler for.
process.on('SIGTERM', () => process.exit(0));
process.title = 'bench-filling';
const records = [];
const bare = process.memoryUsage.rss();
while (process.memoryUsage.rss() - bare < mib * 2 ** 20) {
  for (let count = 0; count < recordsAtOnce; count += 1) records.push(makeRecord(records.length));
}
process.title = 'bench-full';

let at = 0;
let due = 0;
setInterval(() => {
  for (due += (records.length * percent * tickMs) / 100_000; due >= 1; due -= 1) {
    records[at].changes += 1;
    at = (at + 1) % records.length;
  }
}, tickMs);

function makeRecord(id) {
  const pick = (step) => words[(id * step) % words.length];
  return {
    id,
    changes: 0,
    name: `${pick(3)}-${id}`,
    tags: [pick(5), pick(7), id % 100],
    // Joined and read once, so that it lies in memory as one string and not as a tree of pieces.
    text: Buffer.from(Array.from({ length: 30 }, (_, i) => pick(i + id)).join(' ')).toString(),
  };
}
