import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { benchMove } from './move/bench-move.ts';
import { benchNetwork } from './network/bench-network.ts';

const USAGE = `\
npm run bench -- move [--sizes 16,256,1024] [--runs 7] [--warm-up 1] [--out DIR]
  --sizes    MiB of resident memory of the jobs
  --runs     measured moves of each contender and size; the contenders take turns
  --warm-up  moves before those, which count for nothing
  --out      where move.md and move.json go, bench/results unless given
npm run bench -- network [--counts 10,100,1000] [--runs 7] [--warm-up 1] [--out DIR]
  --counts   objects of each kind in a namespace that is read and built`;

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
    process.stdout.write(await options(stop.signal));
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    process.stderr.write('bench: interrupted\n');
    process.exitCode = 130;
  }
}

/** What to run, or undefined for a command line that is wrong. */
function parse(words: string[]): ((signal: AbortSignal) => Promise<string>) | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: words,
      allowPositionals: true,
      options: {
        sizes: { type: 'string', default: '16,256,1024' },
        counts: { type: 'string', default: '10,100,1000' },
        runs: { type: 'string', default: '7' },
        'warm-up': { type: 'string', default: '1' },
        out: { type: 'string', default: join(import.meta.dirname, 'results') },
      },
    });
    const [sizes, counts] = [values.sizes, values.counts].map((list) =>
      list.split(',').map((text) => parseCount(text, 1)),
    );
    const [runs, warmUp] = [parseCount(values.runs, 1), parseCount(values['warm-up'], 0)];
    const common = { runs, warmUp, out: values.out };
    switch (positionals.join(' ')) {
      case 'move':
        return (signal) => benchMove({ ...common, sizes: sizes ?? [] }, signal);
      case 'network':
        return (signal) => benchNetwork({ ...common, counts: counts ?? [] }, signal);
      default:
        return undefined;
    }
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
