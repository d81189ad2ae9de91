import { stopBareJob } from '../move/bare-job.ts';
import { device, lineOfType, prefixLength } from '../move/contender.ts';
import type { Lab } from '../move/lab.ts';
import type { CrowdContender } from './bench-connections.ts';
import { type Crowd, connectCrowd, port, server } from './crowd.ts';

/** How CRIU keeps packets away meanwhile: not at all, or by a rule for each connection. */
export type Lock = 'skip' | 'iptables';

/** Bare criu dump and criu restore on one host: bench/floor.sh. */
export function bareContender(lab: Lab, count: number, lock: Lock): CrowdContender {
  const plan = { name: `crowd-${lock}`, mib: 0, address: '10.77.0.172' };
  const place = [plan.name, `${plan.address}/${prefixLength}`, device];
  let crowd: Crowd | undefined;
  return {
    name: lock === 'skip' ? 'bare CRIU, no lock' : "bare CRIU, its own lock's rules",
    async start() {
      await lab.exec('a', '/shared/bench/start-bare.sh', ...place, server, port);
      crowd = await connectCrowd(lab, plan.address, count);
    },
    async run() {
      const said = await lab.exec('a', '/shared/bench/floor.sh', plan.name, lock);
      const { dumpUs, restoreUs } = lineOfType<{ dumpUs: number; restoreUs: number }>(
        said,
        'floor',
      );
      return (dumpUs + restoreUs) / 1000;
    },
    async stop() {
      const right = (await crowd?.end()) ?? 0;
      await stopBareJob(lab, 'a', plan);
      return right;
    },
  };
}
