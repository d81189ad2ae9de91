import type { Conditions } from '../move/conditions.ts';
import { renderTable, round } from '../move/report.ts';
import { median } from '../move/series.ts';

/** The runs of one contender with so many connections. */
export interface CrowdSeries {
  readonly count: number;
  readonly contender: string;
  readonly frozenMs: readonly number[];
  /** Connections that were answered rightly after the last run. */
  readonly kept: number;
}

export interface ConnectionsReport {
  readonly runs: number;
  readonly warmUp: number;
  readonly conditions: Conditions;
  readonly series: readonly CrowdSeries[];
}

/**
 * What a frozen time can't go below, by a model: one process, one round trip that is next to
 * nothing, 60 us a connection to describe it and 50 us to make it again.
 */
const floorModel = { dumpMs: 3.4, lockMs: 25, restoreMs: 11.1, connectionMs: 0.11 } as const;

/** The table as Markdown, with what is needed to read it. */
export function renderReport({ runs, warmUp, conditions: now, series }: ConnectionsReport): string {
  const load = `${now.loadBefore.join(' ')} before, ${now.loadAfter.join(' ')} after`;
  return [
    '# A server with many connections',
    '',
    `${now.date}, Linux ${now.kernel}, criu ${now.criu}, node ${now.node}, ${now.machine}; hosts are`,
    `network namespaces of one machine. Load average: ${load}.`,
    `${runs} runs each after ${warmUp} to warm up. Cells: median (least–most).`,
    '',
    ...renderTable(head, series.map(row)),
    '',
    'One process that echoes on that many established TCP connections, all from a third host, which',
    'asks one after the other meanwhile. **frozen**: no task ran anywhere; of bare CRIU on one host,',
    `dump plus restore. **model**: ${floorModel.dumpMs} + ${floorModel.lockMs} + ${floorModel.restoreMs} ms and ${floorModel.connectionMs} ms for each connection.`,
    '**kept**: connections that were answered rightly after the last run. CRIU makes two rules of',
    'iptables for each connection when the lock is its own.',
    '',
  ].join('\n');
}

const head = ['connections', 'contender', 'frozen ms', 'model ms', 'frozen / model', 'kept'];

function row({ count, contender, frozenMs, kept }: CrowdSeries): string[] {
  const { dumpMs, lockMs, restoreMs, connectionMs } = floorModel;
  const modelMs = dumpMs + lockMs + restoreMs + connectionMs * count;
  const middle = median(frozenMs);
  const spread = `(${round(Math.min(...frozenMs))}–${round(Math.max(...frozenMs))})`;
  return [
    String(count),
    contender,
    `${round(middle)} ${spread}`,
    round(modelMs),
    (middle / modelMs).toFixed(1),
    `${kept}/${count}`,
  ];
}
