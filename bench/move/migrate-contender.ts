import type { MoveResult } from '../../src/index.ts';
import {
  type Contender,
  device,
  type JobPlan,
  lineOfType,
  type Measured,
  otherHost,
  port,
  prefixLength,
} from './contender.ts';
import type { Lab } from './lab.ts';
import { connectClient, type SilenceClient } from './silence.ts';

/** This toolkit: `migrate JOB HOST`. */
export function migrateContender(lab: Lab, kind: 'l3' | 'l2', plan: JobPlan): Contender {
  const { name, mib, address } = plan;
  let host = 'a';
  let client: SilenceClient | undefined;
  return {
    name: `migrate ${kind}`,
    async start() {
      const where = kind === 'l3' ? ['--l3', '--dev', device] : ['--l2', '--bridge', 'br0'];
      const own = ['--ip', `${address}/${prefixLength}`];
      const program = ['resident', String(mib), '0.0.0.0', port];
      await lab.exec(host, 'migrate', 'run', name, ...where, ...own, '--', ...program);
      client = await connectClient(lab, address);
    },
    async run() {
      const target = otherHost(host);
      const words = ['/shared/bench/measured.sh', device, 'migrate', name, target, '--json'];
      if (client === undefined) throw new Error('not started');
      const { value, silence } = await client.during(() => lab.exec(host, ...words));
      host = target;
      const { wallUs, wireBytes } = lineOfType<Measured>(value, 'measured');
      const result = lineOfType<MoveResult>(value, 'result');
      return {
        frozenMs: result.frozenMs,
        totalMs: wallUs / 1000,
        wireBytes,
        silenceMs: silence.ms,
        kept: silence.kept,
        parts: result.phases,
      };
    },
    async stop() {
      await client?.end();
      await lab.exec(host, 'migrate', 'stop', name);
      await lab.exec(host, 'migrate', 'rm', name);
    },
  };
}
