import type { Conditions } from '../move/conditions.ts';
import { renderTable, round } from '../move/report.ts';
import { median } from '../move/series.ts';
import type { Measurement } from './worker.ts';

export interface NetworkReport {
  readonly runs: number;
  readonly warmUp: number;
  readonly conditions: Conditions;
  readonly measurements: readonly Measurement[];
}

/** The tables as Markdown, with what is needed to read them. */
export function renderNetwork(report: NetworkReport): string {
  const { runs, warmUp, conditions: now, measurements } = report;
  const load = `${now.loadBefore.join(' ')} before, ${now.loadAfter.join(' ')} after`;
  return [
    '# Reading and building the network identity of a namespace',
    '',
    `${now.date}, Linux ${now.kernel}, criu ${now.criu}, node ${now.node}, ${now.machine}.`,
    `Load average: ${load}. ${runs} runs after ${warmUp} to warm up, the contenders taking turns;`,
    'one by one at most three. Medians, ms.',
    '',
    '**migrate**: the whole document read (`captureNetwork`), and built and settled in a new',
    'namespace (`buildNetwork`). **tools once**: the start of one `ip -batch` and one `nft`, with',
    'nothing to do. **one by one**: an `ip` for each object, in one shell. **criu**: its own dump',
    'and restore of the namespace, as the difference between a process with and one without.',
    '`all` has that many of each kind.',
    '',
    ...part('Reading', 'captureMs', measurements),
    ...part('Building', 'applyMs', measurements),
    ...cannot(measurements),
  ].join('\n');
}

const contenders = ['migrate', 'tools once', 'one by one', 'criu'] as const;

function part(title: string, key: 'captureMs' | 'applyMs', all: readonly Measurement[]): string[] {
  const rows = [...groups(all)].map(([name, own]) => {
    const medians = contenders.map((contender) => {
      const values = own.filter((one) => one.contender === contender).map((one) => one[key]);
      const known = values.filter((value) => value !== undefined);
      return known.length === 0 ? undefined : median(known);
    });
    const [ours, floor, loop] = medians;
    const above = ours === undefined || floor === undefined ? undefined : ours - floor;
    const ratio = ours === undefined || loop === undefined ? undefined : loop / ours;
    return [name, ...medians.map(round), round(above), round(ratio)];
  });
  const head = ['objects', ...contenders, 'migrate less tools once', 'one by one / migrate'];
  return [`## ${title}`, '', ...renderTable(head, rows), ''];
}

function groups(all: readonly Measurement[]): Map<string, Measurement[]> {
  const found = new Map<string, Measurement[]>();
  for (const one of all) {
    const name = `${one.count} ${one.objects === 'all' ? 'of each' : one.objects}`;
    found.set(name, [...(found.get(name) ?? []), one]);
  }
  return found;
}

/** A contender that cannot do it says why, once for each reason. */
function cannot(all: readonly Measurement[]): string[] {
  const reasons = all.flatMap(({ contender, objects, cannot: why }) =>
    why === undefined ? [] : [`- ${contender}, ${objects}: ${why}`],
  );
  return reasons.length === 0 ? [] : ['Could not be measured:', '', ...new Set(reasons), ''];
}
