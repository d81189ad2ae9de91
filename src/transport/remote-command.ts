import type { ClientChannel } from 'ssh2';
import { within } from '../base/deadline.ts';
import { tidyText } from '../base/errors.ts';
import { transportLimits } from './limits.ts';

/** A command that runs on another host; its standard input and output are `channel`. */
export interface RemoteCommand {
  readonly channel: ClientChannel;
  /** The exit status, a signal's name, or undefined when the connection ended first. */
  readonly exit: Promise<number | string | undefined>;
  /** The same, and undefined as well when it is not known after `timeoutMs`. */
  exitWithin(timeoutMs: number): Promise<number | string | undefined>;
  /** The last 32 KiB of standard error, fit for a terminal. */
  stderrTail(): string;
  /** The line of it that says most: the first that names an error, else the last. */
  stderrLine(): string;
}

/**
 * Must be called in the callback that hands out the channel: a short command's exit status may come
 * with the same packet, and ssh2 reports it once, to those who listen by then.
 */
export function watchCommand(channel: ClientChannel): RemoteCommand {
  let tail = Buffer.alloc(0);
  channel.stderr.on('data', (bytes: Buffer) => {
    tail = Buffer.concat([tail, bytes]).subarray(-transportLimits.stderrBytesMax);
  });
  const exit = new Promise<number | string | undefined>((resolve) => {
    channel.on('exit', (code: number | null, signal?: string) => resolve(code ?? signal));
    channel.on('close', () => resolve(undefined));
  });
  const stderrTail = () => tidyText(tail.toString('utf8'), transportLimits.stderrBytesMax);
  return {
    channel,
    exit,
    exitWithin: (timeoutMs) =>
      within(exit, timeoutMs, 'CONNECTION_LOST', 'no exit status').catch(() => undefined),
    stderrTail,
    stderrLine() {
      const lines = stderrTail()
        .split('\n')
        .map((line) => line.trim());
      const telling = lines.find((line) => /^\w*Error\b/u.test(line));
      return tidyText(telling ?? lines.filter(Boolean).at(-1) ?? '', transportLimits.lineCharsMax);
    },
  };
}
