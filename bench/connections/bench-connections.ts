import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { observeConditions } from '../move/conditions.ts';
import { type Lab, openLab } from '../move/lab.ts';
import { prepareHosts } from '../move/prepare-hosts.ts';
import { bareContender } from './bare-contender.ts';
import type { CrowdContender } from './contender.ts';
import { migrateContender } from './migrate-contender.ts';
import { type ConnectionsReport, type CrowdSeries, renderReport } from './report.ts';

export interface ConnectionsBench {
  /** Established connections of a job. */
  readonly counts: readonly number[];
  readonly runs: number;
  readonly warmUp: number;
  /** Where connections.md and connections.json are written. */
  readonly out: string;
}

/** Measures how a frozen time grows with connections; resolves to the table, which it keeps. */
export async function benchConnections(
  options: ConnectionsBench,
  signal: AbortSignal,
): Promise<string> {
  const { counts, runs, warmUp, out } = options;
  const lab = await openLab(['a', 'b', 'c'], signal);
  try {
    await prepareHosts(lab);
    await prepareCrowd(lab);
    const conditions = await observeConditions(lab);
    const series: CrowdSeries[] = [];
    for (const count of counts) {
      for (const contender of contendersFor(lab, count)) {
        series.push(await measure(contender, count, options));
      }
    }
    const report: ConnectionsReport = { runs, warmUp, conditions: conditions(), series };
    const text = renderReport(report);
    await mkdir(out, { recursive: true });
    await writeFile(join(out, 'connections.json'), `${JSON.stringify(report, undefined, 1)}\n`);
    await writeFile(join(out, 'connections.md'), text);
    return text;
  } finally {
    await lab.down();
  }
}

/** CRIU's own lock has a rule a connection, and takes minutes for more. */
const ownLockMax = 100;
const workloads = join(import.meta.dirname, '../../test/workloads');

function contendersFor(lab: Lab, count: number): CrowdContender[] {
  return [migrateContender(lab, count), ...(count > ownLockMax ? [] : [bareContender(lab, count)])];
}

async function measure(
  contender: CrowdContender,
  count: number,
  { runs, warmUp }: ConnectionsBench,
): Promise<CrowdSeries> {
  const { name } = contender;
  await contender.start();
  const frozenMs: number[] = [];
  for (let run = -warmUp; run < runs; run += 1) {
    const ms = await contender.run();
    const words = [`${count} connections`, name, `frozen ${ms.toFixed(1)} ms`];
    process.stderr.write(`bench: run ${run + 1}/${runs}: ${words.join(', ')}\n`);
    if (run >= 0) frozenMs.push(ms);
  }
  return { count, contender: name, frozenMs, kept: await contender.stop() };
}

async function prepareCrowd(lab: Lab): Promise<void> {
  const place = join(lab.shared, 'bench');
  for (const file of ['echo-server.c', 'crowd-client.py']) {
    await cp(join(workloads, file), join(place, file));
  }
  const server = '/shared/bench/echo-server';
  await lab.exec('a', 'gcc', '-O2', '-static', '-o', server, `${server}.c`);
}
