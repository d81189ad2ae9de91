import { cpus, loadavg, release, totalmem } from 'node:os';
import type { Lab } from './lab.ts';

/** What numbers cannot be read without. */
export interface Conditions {
  readonly date: string;
  readonly kernel: string;
  readonly criu: string;
  readonly openssh: string;
  readonly node: string;
  readonly machine: string;
  readonly loadBefore: readonly number[];
  readonly loadAfter: readonly number[];
}

const bytesPerGib = 2 ** 30;

/** Taken before the first move; call what it returns after the last. */
export async function observeConditions(lab: Lab): Promise<() => Conditions> {
  const loadBefore = roundedLoad();
  const script = 'criu --version | head -n 1; ssh -V 2>&1; node --version';
  const answer = await lab.exec('a', 'sh', '-c', script);
  const [criu = '', openssh = '', node = ''] = answer.split('\n');
  return () => ({
    date: new Date().toISOString(),
    kernel: release(),
    criu: criu.replace('Version: ', ''),
    openssh: openssh.split(',')[0] ?? '',
    node,
    machine: `${cpus().length} cores, ${Math.round(totalmem() / bytesPerGib)} GiB`,
    loadBefore,
    loadAfter: roundedLoad(),
  });
}

function roundedLoad(): number[] {
  return loadavg().map((load) => Math.round(load * 100) / 100);
}
