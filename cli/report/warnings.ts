import { type Context, writeLine } from '../context.ts';
import { oneLine } from '../words.ts';

/** What was done with a difference, a line each on standard error. */
export async function writeWarnings(context: Context, warnings: readonly string[]): Promise<void> {
  for (const warning of warnings) await writeLine(context.err, `warning: ${oneLine(warning)}`);
}
