import { isMainThread } from 'node:worker_threads';
import { asMigrateError } from '../src/base/errors.ts';
import { loadApi } from './api.ts';
import { processContext } from './process-context.ts';
import { fail, runProgram } from './program.ts';

/** The entry: the only place that ends the process, and with it decides the exit status. */
async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  const context = processContext();
  const crashed = (error: unknown) => {
    void fail(asMigrateError(error), argv, context).then((status) => process.exit(status));
  };
  // Node's own status for these is 1, which would promise that the job runs on the source.
  process.on('uncaughtException', crashed).on('unhandledRejection', crashed);
  process.exit(await runProgram(argv, context));
}

if (isMainThread) void main();
else void loadApi().then(({ serveCompare }) => serveCompare());
