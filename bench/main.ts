import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { benchMove, type MoveBench } from './move/bench-move.ts';

const USAGE = `\
npm run bench -- move [--sizes 16,256,1024] [--runs 7] [--warm-up 1] [--out DIR]
  --sizes    MiB of resident memory of the jobs
  --runs     measured moves of each contender and size; the contenders take turns
  --warm-up  moves before those, which count for nothing
  --out      where move.md and move.json go, bench/results unless given`;

/** Ctrl-C ends what runs; the lab is taken down in any case. */
async function main(words: string[]): Promise<void> {
  const options = parse(words);
  if (options === undefined) {
    process.stderr.write(`${USAGE}\n`);
    process.exitCode = 2;
    return;
  }
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => stop.abort(new Error(signal)));
  }
  try {
    process.stdout.write(await benchMove(options, stop.signal));
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    process.stderr.write('bench: interrupted\n');
    process.exitCode = 130;
  }
}

function parse(words: string[]): MoveBench | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: words,
      allowPositionals: true,
      options: {
        sizes: { type: 'string', default: '16,256,1024' },
        runs: { type: 'string', default: '7' },
        'warm-up': { type: 'string', default: '1' },
        out: { type: 'string', default: join(import.meta.dirname, 'results') },
      },
    });
    const sizes = values.sizes.split(',').map((text) => parseCount(text, 1));
    const [runs, warmUp] = [parseCount(values.runs, 1), parseCount(values['warm-up'], 0)];
    if (positionals.join(' ') !== 'move') return undefined;
    return { sizes, runs, warmUp, out: values.out };
  } catch {
    return undefined;
  }
}

function parseCount(text: string, least: number): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < least) throw new Error(`${text} is no count`);
  return count;
}

await main(process.argv.slice(2));
