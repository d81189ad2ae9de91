import { table } from '../cli/report/table.ts';
import { bytesInWords, msInWords, oneLine } from '../cli/words.ts';
import type { MoveResult } from '../src/index.ts';
import type { Answer, Stretch } from './record.ts';

/** What the demo prints: plain lines, with a colour for each host where there is a terminal. */
export interface Show {
  /** What the demo does now. */
  step(text: string): void;
  /** A command as a person would type it on a host. */
  typed(host: string, command: readonly string[]): void;
  /** What the command answered. */
  said(text: string): void;
  answer(answer: Answer): void;
  /** Ends a run of lines about answers. */
  flush(): void;
  plain(text: string): void;
}

/** One line stands for all answers of this long, so that they scroll and can be read. */
const lineEveryMs = 100;
/** An answer that took longer than this has a line of its own. */
const slowMs = 25;

export function createShow(options: {
  readonly write: (text: string) => void;
  readonly isTerminal: boolean;
  /** Whose MAC it is. */
  readonly hostOf: (mac: string) => string;
}): Show {
  const { write, isTerminal, hostOf } = options;
  const paint = (colour: number, text: string): string =>
    isTerminal ? `\u001b[${colour}m${text}\u001b[0m` : text;
  let first: number | undefined;
  let waiting: Answer[] = [];

  function flush(): void {
    const end = waiting.at(-1);
    if (end === undefined) return;
    const slowest = Math.max(...waiting.map(({ ms }) => ms));
    const host = hostOf(end.mac ?? '');
    const time = `${((end.at - (first ?? end.at)) / 1000).toFixed(2)} s`.padStart(8);
    const count = `${waiting.length}`.padStart(3);
    const latency = msInWords(slowest);
    const text = `${time}  ${end.status} from ${host}  ${count} answered, slowest ${latency}`;
    write(`${paint(slowest > slowMs ? yellow : (colours[host] ?? plainColour), text)}\n`);
    waiting = [];
  }

  return {
    step: (text) => write(`${paint(bold, `== ${text}`)}\n`),
    typed: (host, command) => {
      flush();
      write(`${paint(bold, `${host}# ${command.map(quoted).join(' ')}`)}\n`);
    },
    said(text) {
      flush();
      write(`${text}\n`);
    },
    answer(answer) {
      first ??= answer.at;
      if (answer.lost !== undefined) {
        flush();
        write(`${paint(red, `LOST: ${oneLine(answer.lost)}`)}\n`);
        return;
      }
      const before = waiting[0];
      const isOther = before?.mac !== answer.mac || answer.ms > slowMs;
      if (before !== undefined && isOther) flush();
      waiting.push(answer);
      if (answer.ms > slowMs || answer.at - (waiting[0]?.at ?? 0) >= lineEveryMs) flush();
    },
    flush,
    plain: (text) => write(text),
  };
}

const bold = 1;
const red = 31;
const yellow = 33;
const plainColour = 0;
const colours: Readonly<{ [host: string]: number }> = { a: 32, b: 36 };

export interface Leg {
  readonly result: MoveResult;
  readonly seen: Stretch;
}

/** The table at the end, from what the client saw and what `migrate` reported. */
export function closingTable(legs: readonly Leg[], total: Stretch): string {
  const heading = ['move', 'silence', 'frozen', 'total', 'sent', 'answered', 'lost'];
  const rows = legs.map(({ result, seen }) => [
    `${result.source} -> ${result.target}`,
    msInWords(seen.silenceMs),
    msInWords(result.frozenMs),
    msInWords(result.totalMs),
    bytesInWords(result.wireBytes),
    `${seen.answered}`,
    `${seen.lost}`,
  ]);
  const all = ['all', msInWords(total.silenceMs), '', '', '', `${total.answered}`, `${total.lost}`];
  return table(heading, [...rows, all]);
}

function quoted(word: string): string {
  return /^[\w./:=-]+$/.test(word) ? word : `'${word}'`;
}
