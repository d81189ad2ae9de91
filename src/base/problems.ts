/** Why something cannot be done, and what to do about it. */
export interface Problem {
  readonly message: string;
  readonly hint?: string | undefined;
}

/** What a person reads of them; more are counted. */
const problemsMax = 10;

/**
 * A line for each problem; a hint that differs from the first, which goes alone, is in its line.
 */
export function tellProblems(problems: readonly Problem[]): Problem {
  const hint = problems[0]?.hint;
  const lines = problems
    .slice(0, problemsMax)
    .map((one) =>
      one.hint === undefined || one.hint === hint ? one.message : `${one.message} (${one.hint})`,
    );
  const more = problems.length - lines.length;
  if (more > 0) lines.push(`and ${more} more`);
  return { message: lines.join('\n'), ...(hint === undefined ? {} : { hint }) };
}
