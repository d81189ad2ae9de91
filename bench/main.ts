import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { benchConnections } from './connections/bench-connections.ts';
import { benchMemory } from './memory/bench-memory.ts';
import { contentKinds, defaultWish, linkRates, type PlanWish, quickWish } from './memory/plan.ts';
import { benchMove } from './move/bench-move.ts';
import { benchNetwork } from './network/bench-network.ts';

const USAGE = `\
npm run bench -- move [--sizes 16,256,1024] [--runs 7] [--warm-up 1] [--out DIR]
  --sizes    MiB of resident memory of the jobs
  --runs     measured moves of each contender and size; the contenders take turns
  --warm-up  moves before those, which count for nothing
  --out      where move.md and move.json go, bench/results unless given
npm run bench -- network [--counts 10,100,1000] [--runs 7] [--warm-up 1] [--out DIR]
  --counts   objects of each kind in a namespace that is read and built
npm run bench -- connections [--counts 10,100,1000,10000] [--runs 7] [--warm-up 1] [--out DIR]
  --counts   established connections of a server
npm run bench -- memory [--quick] [--sizes 256,16,1024] [--contents random,zero,text,node-heap]
    [--rates 10,0,1,50] [--links 1gbit,100mbit,unlimited] [--runs 3] [--warm-up 1] [--out DIR]
  --sizes    MiB; the first value of each list is the base point, from which one thing is varied
  --contents of the job's memory
  --rates    percent of its memory that a job writes to each second
  --links    what the hosts' cards let through
  --quick    a small plan, and one run of it`;

/** Ctrl-C ends what runs; the lab is taken down in any case. */
async function main(words: string[]): Promise<void> {
  const bench = parse(words);
  if (bench === undefined) {
    process.stderr.write(`${USAGE}\n`);
    process.exitCode = 2;
    return;
  }
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stop.abort(new Error(signal)));
  }
  try {
    process.stdout.write(await bench(stop.signal));
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    process.stderr.write('bench: interrupted\n');
    process.exitCode = 130;
  }
}

/** What to run, or undefined for a command line that is wrong. */
function parse(words: string[]): ((signal: AbortSignal) => Promise<string>) | undefined {
  try {
    const { values, positionals } = parseArgs({ args: words, allowPositionals: true, options });
    const { sizes, counts, quick } = values;
    const parseRuns = (usual: string) => parseCount(values.runs ?? usual, 1);
    const common = { warmUp: parseCount(values['warm-up'], 0), out: values.out };
    switch (positionals.join(' ')) {
      case 'move': {
        const all = parseCounts(sizes ?? '16,256,1024', 1);
        const runs = parseRuns('7');
        return (signal) => benchMove({ ...common, runs, sizes: all }, signal);
      }
      case 'network': {
        const all = parseCounts(counts ?? '10,100,1000', 1);
        const runs = parseRuns('7');
        return (signal) => benchNetwork({ ...common, runs, counts: all }, signal);
      }
      case 'connections': {
        const all = parseCounts(counts ?? '10,100,1000,10000', 1);
        const runs = parseRuns('7');
        return (signal) => benchConnections({ ...common, runs, counts: all }, signal);
      }
      case 'memory': {
        const wish = parseWish(values);
        const runs = parseRuns(quick ? '1' : '3');
        return (signal) => benchMemory({ ...common, runs, wish }, signal);
      }
      default:
        return undefined;
    }
  } catch {
    return undefined;
  }
}

const options = {
  sizes: { type: 'string' },
  counts: { type: 'string' },
  contents: { type: 'string' },
  rates: { type: 'string' },
  links: { type: 'string' },
  quick: { type: 'boolean', default: false },
  runs: { type: 'string' },
  'warm-up': { type: 'string', default: '1' },
  out: { type: 'string', default: join(import.meta.dirname, 'results') },
} as const;

interface MemoryFlags {
  readonly sizes?: string | undefined;
  readonly contents?: string | undefined;
  readonly rates?: string | undefined;
  readonly links?: string | undefined;
  readonly quick: boolean;
}

function parseWish({ sizes, contents, rates, links, quick }: MemoryFlags): PlanWish {
  const usual = quick ? quickWish : defaultWish;
  return {
    mib: sizes === undefined ? usual.mib : parseCounts(sizes, 1),
    contents: contents === undefined ? usual.contents : parseNames(contents, contentKinds),
    dirtyPercent: rates === undefined ? usual.dirtyPercent : parseCounts(rates, 0),
    link: links === undefined ? usual.link : parseNames(links, linkRates),
    compress: usual.compress,
  };
}

function parseNames<T extends string>(list: string, known: readonly T[]): T[] {
  return list.split(',').map((text) => {
    const name = known.find((one) => one === text);
    if (name === undefined) throw new Error(`${text} is none of ${known.join(', ')}`);
    return name;
  });
}

function parseCounts(list: string, least: number): number[] {
  return list.split(',').map((text) => parseCount(text, least));
}

function parseCount(text: string, least: number): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < least) throw new Error(`${text} is no count`);
  return count;
}

await main(process.argv.slice(2));
