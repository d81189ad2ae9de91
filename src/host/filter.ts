import { spawn } from 'node:child_process';
import { MigrateError, tidyText } from '../base/errors.ts';
import { limits } from '../base/limits.ts';

/** A program that turns one stream of bytes into another, such as zstd(1). Once only. */
export interface Filter {
  /** Resolves when the bytes have left our buffers, so they may be written to again then. */
  write(bytes: Uint8Array): Promise<void>;
  /** No more comes. */
  end(): void;
  /** What comes out; throws PROGRAM_FAILED when the program does not end well. */
  readonly output: AsyncIterable<Uint8Array>;
  /** Ends it, whatever it does; harmless when it has ended. */
  cancel(): void;
}

/** Starts it now: whoever is in a hurry later does so ahead. */
export function startFilter(program: string, args: readonly string[]): Filter {
  const child = spawn(program, args, { stdio: 'pipe', detached: true });
  let failure: Error | undefined;
  let stderr = '';
  const ended = new Promise<number>((resolve) => {
    child.once('error', (error) => {
      failure = error;
      resolve(127);
    });
    child.once('close', (code) => resolve(code ?? 1));
  });
  child.stdin.on('error', () => undefined);
  child.stderr.on('data', (chunk: Buffer) => {
    if (stderr.length < limits.stderrBytesMax) stderr += chunk.toString();
  });

  async function* read(): AsyncIterable<Uint8Array> {
    yield* child.stdout as AsyncIterable<Uint8Array>;
    const status = await ended;
    if (status === 0) return;
    const why = failure?.message ?? (stderr.trim() || `exit code ${status}`);
    throw new MigrateError('PROGRAM_FAILED', `${program}: ${tidyText(why)}`);
  }

  return {
    output: read(),
    async write(bytes) {
      const written = new Promise<boolean>((resolve) => {
        child.stdin.write(bytes, (error) => resolve(error === undefined || error === null));
      });
      // A program that has ended calls nobody back.
      const isWritten = await Promise.race([written, ended.then(() => false)]);
      if (!isWritten) throw new MigrateError('PROGRAM_FAILED', `${program} has ended`);
    },
    end: () => void child.stdin.end(),
    cancel: () => void child.kill('SIGKILL'),
  };
}
