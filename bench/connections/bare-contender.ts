import { stopBareJob } from '../move/bare-job.ts';
import { device, lineOfType, prefixLength } from '../move/contender.ts';
import type { Lab } from '../move/lab.ts';
import type { CrowdContender } from './contender.ts';
import { type Crowd, connectCrowd, port, server } from './crowd.ts';

/**
 * Bare criu dump and criu restore on one host, bench/floor.sh, with criu's own lock: a connection
 * whose client asks meanwhile is lost without one.
 */
export function bareContender(lab: Lab, count: number): CrowdContender {
  const plan = { name: 'crowd-bare', mib: 0, address: '10.77.0.172' };
  const place = [plan.name, `${plan.address}/${prefixLength}`, device];
  let crowd: Crowd | undefined;
  return {
    name: 'bare CRIU, its own lock',
    async start() {
      await lab.exec('a', '/shared/bench/start-bare.sh', ...place, server, port);
      crowd = await connectCrowd(lab, plan.address, count);
    },
    async run() {
      const said = await lab.exec('a', '/shared/bench/floor.sh', plan.name, 'iptables');
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
