import { measureCriu } from './criu-dump.ts';
import { makeObjects, type ObjectKind, objectKinds } from './objects.ts';
import { measureLoop, measureToolStart } from './one-by-one.ts';
import { measureOurs } from './ours.ts';

/**
 * Runs in a host of the lab, from one bundled file: `worker COUNTS RUNS WARM_UP`. Prints a JSON
 * line for each measurement; the contenders take turns.
 */
export interface Measurement {
  readonly type: 'measurement';
  readonly objects: ObjectKind;
  readonly count: number;
  readonly contender: 'migrate' | 'one by one' | 'tools once' | 'criu';
  readonly captureMs?: number;
  readonly applyMs?: number;
  /** Why a contender cannot do it. */
  readonly cannot?: string;
}

/** A thousand programs take seconds: once is enough to see that. */
const loopRunsMax = 3;

async function main([counts = '', runs = '', warmUp = '']: readonly string[]): Promise<void> {
  for (const count of counts.split(',').map(Number)) {
    for (const objects of objectKinds) {
      const made = await makeObjects(objects, count);
      try {
        for (let run = -Number(warmUp); run < Number(runs); run += 1) {
          const say = (one: Omit<Measurement, 'type' | 'objects' | 'count'>) => {
            if (run >= 0) print({ type: 'measurement', objects, count, ...one });
          };
          say({ contender: 'migrate', ...(await measureOurs(made)) });
          say({ contender: 'tools once', ...(await measureToolStart(made)) });
          if (run < loopRunsMax) say({ contender: 'one by one', ...(await measureLoop(made)) });
          say({ contender: 'criu', ...(await measureCriu(made)) });
        }
      } finally {
        await made.remove();
      }
    }
  }
}

function print(line: Measurement): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

void main(process.argv.slice(2));
