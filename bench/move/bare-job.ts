import { device, type JobPlan, port, prefixLength } from './contender.ts';
import type { Lab } from './lab.ts';
import { connectClient, type SilenceClient } from './silence.ts';

/** The same program without a toolkit around it, for the contenders that have none. */
export async function startBareJob(lab: Lab, plan: JobPlan): Promise<SilenceClient> {
  const { name, mib, address } = plan;
  const program = ['resident', String(mib), address, port];
  const place = [name, `${address}/${prefixLength}`, device];
  await lab.exec('a', '/shared/bench/start-bare.sh', ...place, ...program);
  return connectClient(lab, address);
}

export async function stopBareJob(lab: Lab, host: string, plan: JobPlan): Promise<void> {
  const script = 'kill -9 "$(cat "$1/pid")"; rm -r "$1"; ip addr del "$2" dev "$3"';
  const words = [`/run/bare/${plan.name}`, `${plan.address}/${prefixLength}`, device];
  await lab.exec(host, 'sh', '-c', script, 'stop-bare', ...words);
}
