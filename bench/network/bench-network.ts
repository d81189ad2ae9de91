import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundle } from '../../scripts/bundle.ts';
import { observeConditions } from '../move/conditions.ts';
import { openLab } from '../move/lab.ts';
import { type NetworkReport, renderNetwork } from './report.ts';
import type { Measurement } from './worker.ts';

export interface NetworkBench {
  readonly counts: readonly number[];
  readonly runs: number;
  readonly warmUp: number;
  /** Where network.md and network.json are written. */
  readonly out: string;
}

/** Measures reading and building namespaces in a host of a lab; resolves to the table. */
export async function benchNetwork(options: NetworkBench, signal: AbortSignal): Promise<string> {
  const { counts, runs, warmUp, out } = options;
  const lab = await openLab(['a'], signal);
  try {
    await bundle(join(lab.shared, 'bench-network.cjs'), join(import.meta.dirname, 'worker.ts'));
    const conditions = await observeConditions(lab);
    const words = [counts.join(','), String(runs), String(warmUp)];
    const output = await lab.exec('a', 'node', '/shared/bench-network.cjs', ...words);
    const lines = output.split('\n').filter((line) => line.startsWith('{'));
    const measurements = lines.map((line) => JSON.parse(line) as Measurement);
    const report: NetworkReport = { runs, warmUp, conditions: conditions(), measurements };
    const text = renderNetwork(report);
    await mkdir(out, { recursive: true });
    await writeFile(join(out, 'network.json'), `${JSON.stringify(report, undefined, 1)}\n`);
    await writeFile(join(out, 'network.md'), text);
    return text;
  } finally {
    await lab.down();
  }
}
