import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { byHandContender } from './by-hand-contender.ts';
import { observeConditions } from './conditions.ts';
import { type Contender, contenderNames, type JobPlan } from './contender.ts';
import { floorContender } from './floor-contender.ts';
import { type Lab, openLab } from './lab.ts';
import { migrateContender } from './migrate-contender.ts';
import { prepareHosts } from './prepare-hosts.ts';
import { renderReport } from './report.ts';
import type { MoveReport, Series } from './series.ts';

export interface MoveBench {
  /** MiB of resident memory. */
  readonly sizes: readonly number[];
  readonly runs: number;
  readonly warmUp: number;
  /** Where move.md and move.json are written. */
  readonly out: string;
}

/** Measures moves of all contenders in one lab; resolves to the table, which it also keeps. */
export async function benchMove(options: MoveBench, signal: AbortSignal): Promise<string> {
  const { sizes, runs, warmUp, out } = options;
  const lab = await openLab(['a', 'b', 'c'], signal);
  try {
    await prepareHosts(lab);
    const conditions = await observeConditions(lab);
    const series: Series[] = [];
    for (const [index, mib] of sizes.entries()) {
      series.push(...(await benchSize(lab, index, mib, options)));
    }
    const report: MoveReport = { runs, warmUp, conditions: conditions(), series };
    const text = renderReport(report);
    await mkdir(out, { recursive: true });
    await writeFile(join(out, 'move.json'), `${JSON.stringify(report, undefined, 1)}\n`);
    await writeFile(join(out, 'move.md'), text);
    return text;
  } finally {
    await lab.down();
  }
}

/** The contenders stand side by side and take turns: what the machine does hits them all. */
async function benchSize(
  lab: Lab,
  index: number,
  mib: number,
  { runs, warmUp }: MoveBench,
): Promise<Series[]> {
  const contenders = contendersFor(lab, index, mib);
  const series = contenders.map(({ name }) => ({ mib, contender: name, samples: [] }) as Series);
  for (const contender of contenders) await contender.start();
  for (let run = -warmUp; run < runs; run++) {
    for (const [turn, contender] of contenders.entries()) {
      const sample = await contender.run();
      const words = [`${mib} MiB`, contender.name, `frozen ${sample.frozenMs.toFixed(1)} ms`];
      process.stderr.write(`bench: run ${run + 1}/${runs}: ${words.join(', ')}\n`);
      if (run >= 0) series[turn]?.samples.push(sample);
    }
  }
  for (const contender of contenders) await contender.stop();
  return series;
}

/** Each job has an address of its own, so that no neighbour entry is another one's. */
const firstAddress = 101;

function contendersFor(lab: Lab, index: number, mib: number): Contender[] {
  return contenderNames.map((contender, turn) => {
    const last = firstAddress + index * contenderNames.length + turn;
    const kind = contender.replace(/.* /, '');
    const plan: JobPlan = { name: `${kind}-${mib}`, mib, address: `10.77.0.${last}` };
    if (contender === 'by hand') return byHandContender(lab, plan);
    if (contender === 'floor') return floorContender(lab, plan);
    return migrateContender(lab, contender === 'migrate l3' ? 'l3' : 'l2', plan);
  });
}
