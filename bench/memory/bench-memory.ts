import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { observeConditions } from '../move/conditions.ts';
import { type Lab, openLab } from '../move/lab.ts';
import { makePlan, neededMib, type PlannedPoint, type PlanWish, type Point } from './plan.ts';
import { prepareHosts, shapeLink } from './prepare-hosts.ts';
import { type MemoryReport, type PointSeries, type Recorded, renderMemory } from './report.ts';
import { takeRecording, takeSample } from './take-sample.ts';
import { ways } from './ways.ts';

export interface MemoryBench {
  readonly wish: PlanWish;
  readonly runs: number;
  readonly warmUp: number;
  /** Where memory.md and memory.json are written. */
  readonly out: string;
}

/** Measures how memory moves, by every way at each point of the plan; resolves to the tables. */
export async function benchMemory(options: MemoryBench, signal: AbortSignal): Promise<string> {
  const { runs, warmUp, wish, out } = options;
  const availableMib = await readAvailableMib();
  const all = makePlan(wish);
  const plan = all.filter(({ point }) => neededMib(point) <= availableMib);
  const skipped = all.filter((one) => !plan.includes(one)).map(({ point }) => point);
  const lab = await openLab(['a', 'b'], signal);
  try {
    await prepareHosts(lab);
    const conditions = await observeConditions(lab);
    const hasPodman = await has(lab, 'podman');
    for (let run = 0; run < warmUp; run += 1) await warm(lab, plan, signal);
    const series = await measureAll(lab, plan, runs, signal);
    const recordings = await recordAll(lab, plan, signal);
    const now = conditions();
    const report: MemoryReport = {
      ...{ runs, warmUp, wish, availableMib, skipped, hasPodman },
      ...{ conditions: now, series, recordings },
    };
    const text = renderMemory(report);
    await mkdir(out, { recursive: true });
    await writeFile(join(out, 'memory.json'), `${JSON.stringify(report, undefined, 1)}\n`);
    await writeFile(join(out, 'memory.md'), text);
    return text;
  } finally {
    await lab.down();
  }
}

/** Runs go around points and those around ways: what the machine does hits them all. */
async function measureAll(
  lab: Lab,
  plan: readonly PlannedPoint[],
  runs: number,
  signal: AbortSignal,
): Promise<PointSeries[]> {
  const all = plan.map(({ point, axis }) => ({
    point,
    axis,
    series: ways.map((way) => ({ way, samples: [], failures: [] }) as PointSeries['series'][0]),
  }));
  for (let run = 0; run < runs; run += 1) {
    for (const [index, { point, series }] of all.entries()) {
      if (run > 0 && plan[index]?.isSlow) continue;
      await shapeLink(lab, point.link);
      for (const { way, samples, failures } of series) {
        const tell = (what: string) =>
          say(`run ${run + 1}/${runs}: ${inWords(point)}, ${way}: ${what}`);
        try {
          const sample = await takeSample(lab, point, way);
          samples.push(sample);
          tell(`frozen ${sample.frozenMs.toFixed(1)} ms of ${sample.totalMs.toFixed(0)}`);
        } catch (error) {
          // One way that fails at one point is a result, but not when it is us who ended it.
          signal.throwIfAborted();
          failures.push(reasonOf(error));
          tell(`failed: ${reasonOf(error)}`);
        }
      }
    }
  }
  return all;
}

/** What is first in a lab is slow: CRIU looks at the kernel, and files are read from a disk. */
async function warm(lab: Lab, plan: readonly PlannedPoint[], signal: AbortSignal): Promise<void> {
  const [smallest] = plan.map(({ point }) => point).sort((one, other) => one.mib - other.mib);
  if (smallest === undefined) return;
  for (const way of ways) {
    await takeSample(lab, smallest, way).catch((error: unknown) => {
      signal.throwIfAborted();
      say(`warm-up, ${way}: ${reasonOf(error)}`);
    });
  }
}

/** Rules differ in what they make of how fast a job writes: once at each rate. */
async function recordAll(
  lab: Lab,
  plan: readonly PlannedPoint[],
  signal: AbortSignal,
): Promise<Recorded[]> {
  const points = plan.filter(({ axis }) => axis === undefined || axis === 'dirtyPercent');
  const all: Recorded[] = [];
  for (const { point } of points) {
    await shapeLink(lab, point.link);
    try {
      all.push({ point, recording: await takeRecording(lab, point) });
      say(`rounds recorded: ${inWords(point)}`);
    } catch (error) {
      signal.throwIfAborted();
      say(`rounds could not be recorded: ${reasonOf(error)}`);
    }
  }
  return all;
}

async function has(lab: Lab, program: string): Promise<boolean> {
  const words = ['sh', '-c', 'command -v "$1" || true', 'has', program];
  return (await lab.exec('a', ...words)).trim() !== '';
}

async function readAvailableMib(): Promise<number> {
  const [, kib = '0'] =
    /^MemAvailable:\s+(\d+)/m.exec(await readFile('/proc/meminfo', 'utf8')) ?? [];
  return Math.floor(Number(kib) / 1024);
}

function inWords({ mib, contents, dirtyPercent, link }: Point): string {
  return `${mib} MiB ${contents}, ${dirtyPercent} %/s, ${link}`;
}

const reasonCharsMax = 400;

function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s+/g, ' ').slice(-reasonCharsMax);
}

function say(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}
