import { open } from 'node:fs/promises';
import { MigrateError } from '../base/errors.ts';
import { sleepMs } from '../host/clock.ts';
import { readProcess } from '../host/proc.ts';
import { isNetnsJob } from './record.ts';
import { findJob } from './registry.ts';

const chunkBytes = 64 * 1024;
const followStepMs = 200;

/** What the job wrote to its standard output and error; with `follow` until it ends. */
export async function* readLog(
  name: string,
  options: { follow?: boolean } = {},
): AsyncIterable<Uint8Array> {
  const job = await findJob(name);
  if (isNetnsJob(name)) {
    throw new MigrateError('USAGE', `${name} has no log: its programs write wherever they like`);
  }
  const file = await open(job.logPath, 'r');
  try {
    let position = 0;
    for (;;) {
      const { bytesRead, buffer } = await file.read(
        Buffer.alloc(chunkBytes),
        0,
        chunkBytes,
        position,
      );
      position += bytesRead;
      if (bytesRead > 0) yield buffer.subarray(0, bytesRead);
      else if (options.follow !== true || (await readProcess(job.initPid)) === undefined) return;
      else await sleepMs(followStepMs);
    }
  } finally {
    await file.close();
  }
}
