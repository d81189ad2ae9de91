import type { Api } from './api.ts';

/** What a command sees of the world; made once by cli/main.ts, or by a test. */
export interface Context {
  readonly out: Output;
  readonly err: Output;
  readonly signals: Signals;
  api(): Promise<Api>;
  readInput(): Promise<string>;
  /** Set by a command that ends with another status than 0; `exec` passes on the program's. */
  exitCode: number;
  /** The job that a command is about to move: an error then says where it is. */
  moving?: string;
}

export interface Output {
  /** Resolves to false when nobody reads any more; a move goes on then, a log ends. */
  write(data: string | Uint8Array): Promise<boolean>;
  readonly isTerminal: boolean;
  readonly columns: number;
}

export interface Signals {
  /** From here on these, SIGINT, SIGTERM and SIGHUP unless said, abort instead of ending us. */
  watch(names?: readonly NodeJS.Signals[]): AbortSignal;
  /** The first one that came. */
  readonly received: NodeJS.Signals | undefined;
}

/** One line of `--json`. */
export function writeJson(context: Context, value: object): Promise<boolean> {
  return context.out.write(`${JSON.stringify(value)}\n`);
}

export function writeLine(output: Output, line: string): Promise<boolean> {
  return output.write(`${line}\n`);
}
