import type { MoveResult } from '../../src/index.ts';
import { device, lineOfType, otherHost, prefixLength } from '../move/contender.ts';
import type { Lab } from '../move/lab.ts';
import type { CrowdContender } from './contender.ts';
import { type Crowd, connectCrowd, port, server } from './crowd.ts';

const name = 'crowd';
const address = '10.77.0.171';

/** This toolkit: `migrate JOB HOST`, there and back. */
export function migrateContender(lab: Lab, count: number): CrowdContender {
  let host = 'a';
  let crowd: Crowd | undefined;
  return {
    name: 'migrate l3',
    async start() {
      const where = ['--l3', '--dev', device, '--ip', `${address}/${prefixLength}`];
      await lab.exec(host, 'migrate', 'run', name, ...where, '--', server, port);
      crowd = await connectCrowd(lab, address, count);
    },
    async run() {
      const target = otherHost(host);
      const said = await lab.exec(host, 'migrate', name, target, '--json');
      host = target;
      return lineOfType<MoveResult>(said, 'result').frozenMs;
    },
    async stop() {
      const right = (await crowd?.end()) ?? 0;
      await lab.exec(host, 'migrate', 'stop', name, '--timeout', '1');
      await lab.exec(host, 'migrate', 'rm', name);
      return right;
    },
  };
}
