import { startBareJob, stopBareJob } from './bare-job.ts';
import { type Contender, type JobPlan, lineOfType } from './contender.ts';
import type { Lab } from './lab.ts';
import type { SilenceClient } from './silence.ts';

interface Floor {
  readonly dumpUs: number;
  readonly restoreUs: number;
}

/** Bare criu dump and criu restore on one host: bench/floor.sh. */
export function floorContender(lab: Lab, plan: JobPlan): Contender {
  let client: SilenceClient | undefined;
  return {
    name: 'floor',
    async start() {
      client = await startBareJob(lab, plan);
    },
    async run() {
      const output = await lab.exec('a', '/shared/bench/floor.sh', plan.name);
      const { dumpUs, restoreUs } = lineOfType<Floor>(output, 'floor');
      // The connection was still meanwhile: nobody holds packets here. That it lives must show.
      const after = await client?.during(async () => undefined);
      return {
        frozenMs: (dumpUs + restoreUs) / 1000,
        kept: after?.silence.kept === true,
        parts: [
          { name: 'dump', ms: dumpUs / 1000 },
          { name: 'restore', ms: restoreUs / 1000 },
        ],
      };
    },
    async stop() {
      await client?.end();
      await stopBareJob(lab, 'a', plan);
    },
  };
}
