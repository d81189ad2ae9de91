/**
 * A test that also runs where there is no test runner: in a guest, from one bundled file. A file in
 * test/cases exports `cases`; test/system runs them on this kernel, test/vm in a guest's.
 */
export interface Case {
  /** A sentence. */
  readonly name: string;
  /** Which probe fails here, in words; undefined when the case can run. */
  lacks?(): string | undefined;
  /** Throws when what the name says is not so. Leaves nothing behind, whatever happens. */
  run(): void | Promise<void>;
}

export interface Outcome {
  readonly name: string;
  readonly ms: number;
  /** Why it did not run. */
  readonly lacks?: string;
  /** Why it failed: message and stack. */
  readonly failure?: string;
}

/** Runs all cases and prints an outcome a line, as JSON; the program of the bundled file. */
export async function runCases(cases: readonly Case[]): Promise<void> {
  for (const one of cases) {
    const started = performance.now();
    const outcome = await outcomeOf(one);
    const ms = Math.round(performance.now() - started);
    process.stdout.write(`${JSON.stringify({ name: one.name, ms, ...outcome })}\n`);
  }
}

async function outcomeOf(one: Case): Promise<Pick<Outcome, 'lacks' | 'failure'>> {
  try {
    const lacks = one.lacks?.();
    if (lacks !== undefined) return { lacks };
    await one.run();
    return {};
  } catch (error) {
    return { failure: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
