/** A failure with a sentence for the person at the terminal; anything else is a bug in the lab. */
export class LabError extends Error {
  readonly exit: number;

  constructor(message: string, exit = EXIT_FAILED) {
    super(message);
    this.exit = exit;
  }
}

export const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

export function usage(message: string): LabError {
  return new LabError(message, EXIT_USAGE);
}

/** Progress goes to standard error, so that standard output belongs to `exec` and `ls`. */
export function say(message: string): void {
  process.stderr.write(`lab: ${message}\n`);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
