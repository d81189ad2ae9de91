import { execa } from 'execa';
import { LabError } from './errors.ts';

/** Runs a program of the machine to its end and returns what it printed; a failure is one line. */
export async function run(argv: Argv, options: RunOptions = {}): Promise<string> {
  const result = await attempt(argv, options);
  if (result.ok) return result.stdout;
  throw new LabError(`${argv.slice(0, SHOWN_WORDS).join(' ')}: ${tellingLine(result.stderr)}`);
}

/** The same where failing is an answer. */
export async function attempt(argv: Argv, options: RunOptions = {}): Promise<Outcome> {
  const [program, ...args] = argv;
  const result = await execa(program, args, {
    reject: false,
    timeout: options.timeoutMs ?? RUN_TIMEOUT_MS,
    maxBuffer: OUTPUT_LIMIT_CHARS,
    ...(options.input === undefined ? { stdin: 'ignore' } : { input: options.input }),
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const stderr = result.stderr || result.originalMessage || result.shortMessage || '';
  return { ok: !result.failed, stdout: result.stdout, stderr };
}

export type Argv = readonly [string, ...string[]];

export interface RunOptions {
  readonly input?: string;
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  readonly timeoutMs?: number;
}

export interface Outcome {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

const RUN_TIMEOUT_MS = 60_000;
const OUTPUT_LIMIT_CHARS = 16_000_000;
const SHOWN_WORDS = 6;

/** The last line that speaks of an error, for some programs go on talking after it. */
function tellingLine(text: string): string {
  const lines = text.trim().split('\n');
  const telling = lines.filter((line) => /\berror:|^E: /i.test(line));
  return (telling.at(-1) ?? lines.at(-1))?.trim() || 'failed and said nothing';
}
