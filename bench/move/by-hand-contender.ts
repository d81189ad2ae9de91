import { startBareJob, stopBareJob } from './bare-job.ts';
import {
  type Contender,
  device,
  type JobPlan,
  lineOfType,
  type Measured,
  otherHost,
  prefixLength,
} from './contender.ts';
import type { Lab } from './lab.ts';
import type { SilenceClient } from './silence.ts';

interface Moved {
  readonly frozenUs: number;
  readonly dumpUs: number;
  readonly copyUs: number;
  readonly restoreUs: number;
}

/** The script that people write: bench/by-hand.sh. */
export function byHandContender(lab: Lab, plan: JobPlan): Contender {
  const { name, address } = plan;
  let host = 'a';
  let client: SilenceClient | undefined;
  return {
    name: 'by hand',
    async start() {
      client = await startBareJob(lab, plan);
    },
    async run() {
      if (client === undefined) throw new Error('not started');
      const target = otherHost(host);
      const place = [name, `${address}/${prefixLength}`, device, target];
      const words = ['/shared/bench/measured.sh', device, '/shared/bench/by-hand.sh', ...place];
      const { value, silence } = await client.during(() => lab.exec(host, ...words));
      host = target;
      const { wallUs, wireBytes } = lineOfType<Measured>(value, 'measured');
      const moved = lineOfType<Moved>(value, 'moved');
      return {
        frozenMs: moved.frozenUs / 1000,
        totalMs: wallUs / 1000,
        wireBytes,
        silenceMs: silence.ms,
        kept: silence.kept,
        parts: [
          { name: 'dump', ms: moved.dumpUs / 1000 },
          { name: 'copy', ms: moved.copyUs / 1000 },
          { name: 'restore', ms: moved.restoreUs / 1000 },
        ],
      };
    },
    async stop() {
      await client?.end();
      await stopBareJob(lab, host, plan);
    },
  };
}
