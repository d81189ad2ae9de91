import { contenderNames } from './contender.ts';
import {
  beside,
  frozenMedian,
  type MoveReport,
  median,
  partMedians,
  type Series,
} from './series.ts';

/** The tables as Markdown, with what is needed to read them. */
export function renderReport(report: MoveReport): string {
  const { series } = report;
  return [
    '# Moving a job between two hosts',
    '',
    ...preface(report),
    '',
    ...renderTable(
      moveHead,
      series.map((one) => moveRow(one, series)),
    ),
    '',
    ...explanation,
    '',
    '## Where the time goes',
    '',
    'Medians in ms. `migrate` is frozen from `freeze` to `resume`; `restore` overlaps `transfer`.',
    '',
    ...contenderNames.flatMap((name) => partsTable(series, name)),
  ].join('\n');
}

function preface({ runs, warmUp, conditions: now }: MoveReport): string[] {
  const load = `${now.loadBefore.join(' ')} before, ${now.loadAfter.join(' ')} after`;
  return [
    `${now.date}, Linux ${now.kernel}, criu ${now.criu}, ${now.openssh}, node ${now.node},`,
    `${now.machine}; hosts are network namespaces of one machine, images in memory.`,
    `Load average: ${load}.`,
    `${runs} runs each after ${warmUp} to warm up, the contenders taking turns.`,
    'Cells: median (least–most).',
  ];
}

const moveHead = [
  'resident',
  'contender',
  'silence ms',
  'frozen ms',
  'total ms',
  'wire MiB',
  'frozen / floor',
  'by hand / this',
  'connection kept',
];

const explanation = [
  'One process that holds that much random memory and echoes one byte each millisecond to a client',
  'on a third host. **silence**: the longest time the client got no answer. **frozen**: no task ran',
  'anywhere. **total**: the whole command. **wire**: what left the source’s card meanwhile.',
  '**by hand** is `bench/by-hand.sh`: `criu dump`, `scp -r`, `ssh criu restore`, moving the address;',
  'one ssh connection opened beforehand (ControlMaster), aes128-gcm, nftables lock. **floor** is',
  '`bench/floor.sh`: bare `criu dump` plus `criu restore` of the same program on one host, in the',
  'same namespaces and with the same connection, which is still meanwhile.',
];

function moveRow(one: Series, all: readonly Series[]): string[] {
  const { mib, contender, samples } = one;
  const frozen = frozenMedian(one);
  const ratioTo = (other: Series | undefined, flip: boolean): string => {
    if (other === undefined || other === one) return '';
    const ratio = frozen / frozenMedian(other);
    return (flip ? 1 / ratio : ratio).toFixed(1);
  };
  const byHand = contender === 'floor' ? undefined : beside(all, mib, 'by hand');
  return [
    `${mib} MiB`,
    contender,
    cell(samples.map(({ silenceMs }) => silenceMs)),
    cell(samples.map(({ frozenMs }) => frozenMs)),
    cell(samples.map(({ totalMs }) => totalMs)),
    cell(samples.map(({ wireBytes }) => wireBytes && wireBytes / 2 ** 20)),
    ratioTo(beside(all, mib, 'floor'), false),
    ratioTo(byHand, true),
    `${samples.filter(({ kept }) => kept).length}/${samples.length}`,
  ];
}

function cell(values: readonly (number | undefined)[]): string {
  const known = values.filter((value) => value !== undefined);
  if (known.length === 0) return '';
  return `${round(median(known))} (${round(Math.min(...known))}–${round(Math.max(...known))})`;
}

function partsTable(all: readonly Series[], name: Series['contender']): string[] {
  const mine = all.filter(({ contender }) => contender === name);
  const columns = mine.map(partMedians);
  const parts = [...new Set(columns.flatMap((column) => [...column.keys()]))];
  const head = [name, ...mine.map(({ mib }) => `${mib} MiB`)];
  const rows = parts.map((part) => [part, ...columns.map((column) => round(column.get(part)))]);
  return [...renderTable(head, rows), ''];
}

/** Three digits tell all that such a measurement knows. */
export function round(value: number | undefined): string {
  if (value === undefined) return '';
  return value >= 100 ? String(Math.round(value)) : value.toFixed(1);
}

/** Rows of text as a table in Markdown. */
export function renderTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string[] {
  const widths = head.map((_, column) =>
    Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]): string =>
    `| ${row.map((text, column) => text.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)];
}
