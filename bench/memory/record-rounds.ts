import { once } from 'node:events';
import { connect } from 'node:net';
import { isMainThread } from 'node:worker_threads';
import { serveCompare } from '../../src/memory/compare/thread.ts';
import { memoryLimits } from '../../src/memory/limits.ts';
import { createMemorySource } from '../../src/memory/source.ts';
import { createRecordWriter } from '../../src/memory/write-records.ts';

/**
 * Runs in a host of the lab, from one bundled file: `record-rounds PID ROUNDS HOST PORT`. Sends the
 * memory of a running process round by round with migrate's own engine, to a sink and without a
 * rule that would end it. Prints a JSON line for each round.
 */
export interface RoundLine {
  readonly type: 'round';
  /** Pages, those of zeros included, as migrate counts them. */
  readonly sentBytes: number;
  readonly ms: number;
}

/** A link that is too slow for a job does not get faster by waiting. */
const recordingMsMax = 120_000;

async function main([
  pid = '',
  rounds = '',
  host = '',
  port = '',
]: readonly string[]): Promise<void> {
  // No kernel that hosts of namespaces share here tracks writes.
  const source = createMemorySource('digest', { file: process.argv[1] ?? '' });
  const began = performance.now();
  for (let round = 0; round < Number(rounds); round += 1) {
    const from = performance.now();
    if (from - began > recordingMsMax) break;
    // A round has ended when the sink has read all of it: then it closes the connection.
    const sink = connect(Number(port), host);
    await once(sink, 'connect');
    const closed = once(sink, 'close');
    const out = createRecordWriter([
      (bytes) =>
        new Promise((resolve, reject) => {
          sink.write(bytes, (error) => (error ? reject(error) : resolve()));
        }),
    ]);
    // The only process there is: its start time need not tell it from a later one.
    const traced = { pid: Number(pid), nsPid: 1, startTime: 0 };
    await source.ahead([traced], out, (work) => work());
    await out.end();
    sink.end();
    await closed;
    const sentBytes = (out.sent.data + out.sent.zero) * memoryLimits.pageBytes;
    print({ type: 'round', sentBytes, ms: Math.round((performance.now() - from) * 10) / 10 });
  }
  await source.close();
}

function print(line: RoundLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

if (isMainThread) void main(process.argv.slice(2));
else serveCompare();
