import type { MoveEvent, MoveResult } from '../../src/index.ts';
import { type Context, writeJson, writeLine } from '../context.ts';
import { bytesInWords, locationInWords, msInWords, oneLine } from '../words.ts';
import { writeWarnings } from './warnings.ts';

/** Shows one move. Nothing is awaited between two events: a slow terminal must not slow a move. */
export interface MoveReport {
  event(event: MoveEvent): void;
  result(result: MoveResult): Promise<void>;
  /** Clears what the last event left on the terminal, before an error is printed. */
  end(): void;
}

export interface ReportOptions {
  readonly json?: boolean | undefined;
  readonly quiet?: boolean | undefined;
}

export function createMoveReport(context: Context, options: ReportOptions): MoveReport {
  if (options.json === true) return jsonReport(context);
  if (options.quiet === true) return quietReport(context);
  return context.err.isTerminal ? terminalReport(context) : plainReport(context);
}

/** The sentence after a move: what it cost, and last where the job is now. */
export function resultInWords(result: MoveResult): string {
  const { job, frozenMs, totalMs, memoryBytes, wireBytes, location, target } = result;
  const where =
    location === 'target-running' ? `runs on ${oneLine(target)}` : locationInWords(location, job);
  const time = `frozen ${msInWords(frozenMs)} of ${msInWords(totalMs)}`;
  const size = `${bytesInWords(wireBytes)} sent for ${bytesInWords(memoryBytes)} of memory`;
  return `${oneLine(job)}: ${time}, ${size}, ${where}`;
}

function jsonReport(context: Context): MoveReport {
  return {
    event: (event) => void writeJson(context, event),
    result: async (result) => void (await writeJson(context, result)),
    end: () => {},
  };
}

function quietReport(context: Context): MoveReport {
  return {
    event: () => {},
    result: (result) => writeWarnings(context, result.warnings),
    end: () => {},
  };
}

function plainReport(context: Context): MoveReport {
  return {
    event(event) {
      if (event.type === 'phase') void writeLine(context.err, phaseLine(event));
      if (event.type === 'begin') void writeLine(context.err, beginLine(event));
      if (event.type === 'warning') void writeLine(context.err, warningLine(event));
    },
    async result(result) {
      await writeWarnings(context, result.warnings);
      await writeLine(context.out, resultInWords(result));
    },
    end: () => {},
  };
}

/** One line on standard error, written again at each event. */
function terminalReport(context: Context): MoveReport {
  let begin = '';
  let phase = '';
  const clear = '\r\u001b[K';
  const show = (more = '') => {
    const text = [begin, phase, more].filter((part) => part !== '').join('  ');
    void context.err.write(`${clear}${text.slice(0, Math.max(1, context.err.columns - 1))}`);
  };
  return {
    event(event) {
      if (event.type === 'begin') begin = beginLine(event);
      if (event.type === 'phase') phase = event.name;
      if (event.type === 'warning') void context.err.write(`${clear}${warningLine(event)}\n`);
      show(event.type === 'progress' ? bytesInWords(event.wireBytes) : '');
    },
    async result(result) {
      void context.err.write(clear);
      await writeWarnings(context, result.warnings);
      await writeLine(context.out, resultInWords(result));
    },
    end: () => void context.err.write(clear),
  };
}

function beginLine(event: MoveEvent & { type: 'begin' }): string {
  return `${oneLine(event.job)} -> ${oneLine(event.target)}`;
}

/** Said before anything is touched: the result says what became of it. */
function warningLine(event: MoveEvent & { type: 'warning' }): string {
  return `before the move: ${oneLine(event.message)}`;
}

function phaseLine(event: MoveEvent & { type: 'phase' }): string {
  return `${msInWords(event.startMs).padStart(9)}  ${event.name}`;
}
