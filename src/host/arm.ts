import { execa } from 'execa';
import { limits } from '../base/limits.ts';
import { type RunResult, resultOf } from './run.ts';

/** A program that has started and waits for its input: firing it costs no start. */
export interface ArmedTool {
  /** Gives it its whole input and waits for its end. PROGRAM_FAILED as `run` has it. Once only. */
  fire(input: string): Promise<RunResult>;
  /** Ends it unfired; harmless afterwards. */
  cancel(): void;
}

/**
 * Starts a tool that reads commands from standard input (`ip -batch -`, `tc -batch -`, `nft -f -`)
 * ahead of the moment that needs it. If we die it reads an end of file and does nothing.
 */
export function armTool(
  program: string,
  args: readonly string[],
  options: { readonly okCodes?: readonly number[] } = {},
): ArmedTool {
  const child = execa(program, args, {
    reject: false,
    detached: true,
    stripFinalNewline: false,
    maxBuffer: limits.stdoutBytesMax,
    cleanup: true,
  });
  child.stdin.on('error', () => undefined);
  let done = false;
  return {
    async fire(input) {
      done = true;
      child.stdin.end(input);
      const timer = setTimeout(() => child.kill('SIGKILL'), limits.toolTimeoutMs);
      try {
        return resultOf(await child, program, args, options);
      } finally {
        clearTimeout(timer);
      }
    },
    cancel() {
      if (!done) child.kill('SIGTERM');
      done = true;
    },
  };
}
