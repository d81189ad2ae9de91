import type { MoveResult } from '../../src/index.ts';
import { lineOfType, type Measured } from '../move/contender.ts';
import type { Lab } from '../move/lab.ts';
import type { Point } from './plan.ts';
import { heapProgram, noUring } from './prepare-hosts.ts';
import type { RoundLine } from './record-rounds.ts';
import { type Recording, recordedRounds } from './rules.ts';
import { isByHand, type Sample, type Way, wayWord } from './ways.ts';

/** Fills, moves and ends a job at the slowest of links; then a kill, for a script that hangs. */
const sampleSeconds = { most: 900, untilKilled: 30 };

interface JobLine {
  readonly memoryBytes: number;
  readonly areas: number;
}

interface Moved {
  readonly frozenUs: number;
}

/** One move of one fresh job: sample.sh. */
export async function takeSample(lab: Lab, point: Point, way: Way): Promise<Sample> {
  const output = await runSample(lab, point, wayWord(way, point.compress));
  const { memoryBytes, areas } = lineOfType<JobLine>(output, 'job');
  const { wallUs, wireBytes } = lineOfType<Measured>(output, 'measured');
  const common = { totalMs: wallUs / 1000, wireBytes, memoryBytes, areas };
  if (isByHand(way)) {
    return { ...common, frozenMs: lineOfType<Moved>(output, 'moved').frozenUs / 1000 };
  }
  const { frozenMs, predictedFrozenMs, rounds, mode } = lineOfType<MoveResult>(output, 'result');
  return {
    ...common,
    frozenMs,
    mode,
    roundsAhead: rounds.filter(({ kind }) => kind === 'pre-copy').length,
    ...(predictedFrozenMs === null ? {} : { predictedMs: predictedFrozenMs }),
  };
}

/** Rounds of pre-copy of a fresh job, which no rule ends. */
export async function takeRecording(lab: Lab, point: Point): Promise<Recording> {
  const output = await runSample(lab, point, `record ${recordedRounds}`);
  const lines = output.split('\n').filter((line) => line.startsWith('{"type":"round"'));
  const rounds = lines.map((line) => JSON.parse(line) as RoundLine);
  const { memoryBytes } = lineOfType<JobLine>(output, 'job');
  return { memoryBytes, rounds: rounds.map(({ sentBytes, ms }) => ({ sentBytes, ms })) };
}

async function runSample(lab: Lab, point: Point, word: string): Promise<string> {
  const { most, untilKilled } = sampleSeconds;
  const limit = ['timeout', `--kill-after=${untilKilled}`, String(most)];
  return lab.exec('a', ...limit, '/shared/bench/sample.sh', 'b', word, ...programOf(point));
}

function programOf({ mib, contents, dirtyPercent }: Point): string[] {
  if (contents !== 'node-heap') {
    return ['bench-writer', String(mib), contents, String(dirtyPercent)];
  }
  const node = ['env', `LD_PRELOAD=${noUring}`, 'node', `--max-old-space-size=${2 * mib + 64}`];
  return [...node, heapProgram, String(mib), String(dirtyPercent)];
}
