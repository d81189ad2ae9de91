import type { Conditions } from '../move/conditions.ts';
import { renderTable, round } from '../move/report.ts';
import { median } from '../move/series.ts';
import { floorMs } from './floor.ts';
import { type Axis, axes, basePoint, type PlanWish, type Point } from './plan.ts';
import { type Recording, replay, stopRules } from './rules.ts';
import { isByHand, type Sample, type Way, ways } from './ways.ts';

export interface MemoryReport {
  readonly runs: number;
  readonly warmUp: number;
  readonly wish: PlanWish;
  readonly availableMib: number;
  /** Points for which there is not enough memory. */
  readonly skipped: readonly Point[];
  readonly hasPodman: boolean;
  readonly conditions: Conditions;
  readonly series: readonly PointSeries[];
  readonly recordings: readonly Recorded[];
}

export interface PointSeries {
  readonly point: Point;
  readonly axis: Axis | undefined;
  readonly series: readonly WaySeries[];
}

export interface WaySeries {
  readonly way: Way;
  readonly samples: Sample[];
  readonly failures: string[];
}

export interface Recorded {
  readonly point: Point;
  readonly recording: Recording;
}

/** The tables as Markdown, with what is needed to read them. */
export function renderMemory(report: MemoryReport): string {
  return [
    '# How memory moves',
    '',
    ...preface(report),
    '',
    ...explanation,
    '',
    ...axes.flatMap((axis) => axisTable(axis, report)),
    ...failures(report.series),
    ...rulesTable(report.recordings),
  ].join('\n');
}

function preface({ runs, warmUp, wish, conditions: now, ...report }: MemoryReport): string[] {
  const load = `${now.loadBefore.join(' ')} before, ${now.loadAfter.join(' ')} after`;
  const base = basePoint(wish);
  return [
    `${now.date}, Linux ${now.kernel}, criu ${now.criu}, ${now.openssh}, node ${now.node},`,
    `${now.machine}; hosts are network namespaces of one machine, images in memory, links shaped by`,
    `tbf on both hosts’ cards. Load average: ${load}.`,
    `${runs} runs after ${warmUp} to warm up, the ways taking turns; points that take long once.`,
    'Cells: median (least–most).',
    '',
    'The plan is not a full product: each table varies one thing, and the others stay at the base',
    `point, which is ${axes.map((axis) => textOf(base, axis)).join(', ')}.`,
    ...report.skipped.map(
      (point) => `Left out, for ${report.availableMib} MiB are available: ${textOf(point, 'mib')}.`,
    ),
    ...(report.hasPodman
      ? []
      : ['podman is not there, so its export and import were not measured.']),
  ];
}

const explanation = [
  'Each move has a job of its own, which writes to that part of its memory each second, no page twice',
  'before all others. **frozen**: no task ran anywhere. **total**: the whole command. **wire**: what',
  'left the source’s card, for each byte of the job’s anonymous memory. **rounds**: ahead of the',
  'freeze. **predicted**: the frozen time that the last of them let expect. **floor**: a model, no',
  'measurement: 39.5 ms, 22 µs for each memory area, and the bytes that must travel frozen over the',
  'slowest of link, ssh (0.5 GB/s) and copying (1.3 GB/s): all that are not zeros for a stop-copy and',
  'by hand, what is written in the fixed part for pre-copy and auto where it can converge, none for',
  'post-copy; no compression. **by hand / this**: the faster of the two scripts.',
  '',
  '**page-server** and **rsync -z** are `bench/memory/by-hand.sh`: images in memory, ssh connected',
  'beforehand (aes128-gcm), rsync with zstd at level 1; the page-server’s pages travel unencrypted.',
  'They move a process without address and network, which is less than `migrate` moves. Their own',
  'pre-copy needs a kernel with soft-dirty, which this one is not; where it lacks, `migrate` reads',
  'all memory again and compares. Node runs without io_uring (`no-uring.c`), for CRIU dumps none.',
];

const head = [
  ...['compress', 'way', 'runs', 'frozen ms', 'total s', 'wire / memory', 'rounds'],
  ...['predicted ms', 'floor ms', 'frozen / floor', 'by hand / this'],
];

function axisTable(axis: Axis, { series, wish }: MemoryReport): string[] {
  const order = (one: PointSeries): number =>
    (wish[axis] as readonly Point[Axis][]).indexOf(one.point[axis]);
  const mine = series
    .filter((one) => one.axis === undefined || one.axis === axis)
    .sort(
      (one, other) => rank(one.point[axis], order(one)) - rank(other.point[axis], order(other)),
    );
  // One value is no variation, and the base point is in the other tables.
  if (mine.length < 2) return [];
  const rows = mine.flatMap((one) =>
    one.series.map((each) => [textOf(one.point, axis), ...row(one, each)]),
  );
  return [`## By ${titles[axis]}`, '', ...renderTable([titles[axis], ...head], rows), ''];
}

const titles: Readonly<Record<Axis, string>> = {
  mib: 'memory',
  contents: 'contents',
  dirtyPercent: 'dirty rate',
  link: 'link',
  compress: 'compression',
};

/** Numbers by their size, words as the plan has them. */
function rank(value: number | string, index: number): number {
  return typeof value === 'number' ? value : index;
}

function textOf(point: Point, axis: Axis): string {
  if (axis === 'mib') return `${point.mib} MiB`;
  if (axis === 'dirtyPercent') return `${point.dirtyPercent} %/s`;
  return axis === 'compress' ? `compress ${point.compress}` : point[axis];
}

function row({ point, series }: PointSeries, { way, samples, failures }: WaySeries): string[] {
  const runs = `${samples.length}${failures.length === 0 ? '' : ` of ${samples.length + failures.length}`}`;
  const modes = [...new Set(samples.map(({ mode }) => mode))];
  const name = way === 'migrate auto' && modes[0] ? `${way} (${modes.join(', ')})` : way;
  const compress = isByHand(way) ? '' : point.compress;
  const frozen = medianOf(samples, ({ frozenMs }) => frozenMs);
  const floor = medianOf(samples, (one) => floorMs(point, floorWayOf(way, one), one));
  const hand = series
    .filter((other) => isByHand(other.way))
    .map((other) => medianOf(other.samples, ({ frozenMs }) => frozenMs))
    .filter((value) => value !== undefined);
  const best = hand.length === 0 || isByHand(way) ? undefined : Math.min(...hand);
  return [
    ...[compress, name, runs],
    cell(samples, ({ frozenMs }) => frozenMs),
    cell(samples, ({ totalMs }) => totalMs / 1000),
    medianOf(samples, ({ wireBytes, memoryBytes }) => wireBytes / memoryBytes)?.toFixed(2) ?? '',
    medianOf(samples, ({ roundsAhead }) => roundsAhead)?.toString() ?? '',
    round(medianOf(samples, ({ predictedMs }) => predictedMs)),
    round(floor),
    round(ratio(frozen, floor)),
    round(ratio(best, frozen)),
  ];
}

/** What `auto` has decided on is measured against that mode's floor. */
function floorWayOf(way: Way, { mode }: Sample): Way {
  return ways.find((one) => one === `migrate ${mode}`) ?? way;
}

function ratio(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? undefined : one / other;
}

function knownOf(samples: readonly Sample[], value: (one: Sample) => number | undefined): number[] {
  return samples.map(value).filter((known) => known !== undefined);
}

function medianOf(
  samples: readonly Sample[],
  value: (one: Sample) => number | undefined,
): number | undefined {
  const known = knownOf(samples, value);
  return known.length === 0 ? undefined : median(known);
}

function cell(samples: readonly Sample[], value: (one: Sample) => number | undefined): string {
  const known = knownOf(samples, value);
  if (known.length === 0) return '';
  if (known.length === 1) return round(known[0]);
  return `${round(median(known))} (${round(Math.min(...known))}–${round(Math.max(...known))})`;
}

function failures(all: readonly PointSeries[]): string[] {
  const lines = all.flatMap(({ point, series }) =>
    series.flatMap(({ way, failures: reasons }) =>
      [...new Set(reasons)].map(
        (reason) => `- ${axes.map((axis) => textOf(point, axis)).join(', ')}, ${way}: ${reason}`,
      ),
    ),
  );
  return lines.length === 0 ? [] : ['## What failed', '', ...lines, ''];
}

function rulesTable(recordings: readonly Recorded[]): string[] {
  if (recordings.length === 0) return [];
  const rows = recordings.flatMap(({ point, recording }) =>
    stopRules.map((rule) => {
      const one = replay(rule, recording);
      return [
        textOf(point, 'dirtyPercent'),
        ...[one.rule, String(one.rounds), (one.sentBytes / recording.memoryBytes).toFixed(2)],
        ...[(one.restBytes / 2 ** 20).toFixed(1), round(one.predictedMs), one.why],
      ];
    }),
  );
  return [
    '## When pre-copy ends, by whose rule',
    '',
    'The same recorded rounds for all rules: migrate’s engine (comparing, for this kernel does not',
    'track writes) sent the memory of a job at the base point round by round to a sink on the other',
    'host, and went on whatever any rule said. A rule is asked after each round. **rest**: what the',
    'round after its last one had to send, which a freeze there would have had to; **predicted**: how',
    'long that took, and 80 ms. p.haul: at most 64 pages, 10 % more than before, or nine rounds. Incus:',
    'more than 70 % of the pages are there already, or ten rounds.',
    '',
    ...renderTable(
      ['dirty rate', 'rule', 'rounds', 'sent / memory', 'rest MiB', 'predicted ms', 'ends because'],
      rows,
    ),
    '',
  ];
}
