import { text } from 'node:stream/consumers';
import { loadApi } from './api.ts';
import type { Context, Output, Signals } from './context.ts';

/** The context of a real process. */
export function processContext(): Context {
  return {
    out: output(process.stdout),
    err: output(process.stderr),
    signals: processSignals(),
    api: loadApi,
    readInput: () => text(process.stdin),
    exitCode: 0,
  };
}

function output(stream: NodeJS.WriteStream): Output {
  // The write's own callback tells; without a listener a closed pipe would end the process.
  stream.on('error', () => {});
  return {
    write: (data) => new Promise((resolve) => stream.write(data, (error) => resolve(!error))),
    isTerminal: stream.isTTY === true,
    columns: stream.columns ?? 80,
  };
}

function processSignals(): Signals {
  const controller = new AbortController();
  let received: NodeJS.Signals | undefined;
  return {
    watch(names = ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      for (const name of names) {
        process.on(name, () => {
          received ??= name;
          controller.abort();
        });
      }
      return controller.signal;
    },
    get received() {
      return received;
    },
  };
}
